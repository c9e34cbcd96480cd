#include "runtime/storage/blocks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "runtime/core/error.h"

namespace orthant {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian and written as memory is");

constexpr std::string_view kHeaderMagic = "ORTHBLK\n";
constexpr std::string_view kTailMagic = "ORTHEND\n";
constexpr uint32_t kByteOrderMark = 0x01020304;
constexpr int64_t kHashBytes = 16;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t byte_order;
  char kind[16];
  int64_t description_bytes;
  char description[kBlockHeaderBytes - 40 - kHashBytes];
  Hash128 hash;  // of all bytes before
};
static_assert(sizeof(Header) == kBlockHeaderBytes);

struct Tail {
  int64_t blocks;
  int64_t index_offset;
  Hash128 header_hash;
  Hash128 hash;  // of the index and of the tail's bytes before
  int64_t unused;
  char magic[8];
};
static_assert(sizeof(Tail) == 64 && sizeof(BlockPlace) == 32);

[[noreturn]] void damaged(const std::string& path, int64_t offset, const std::string& what,
                          const std::string& expected, const std::string& found) {
  throw Error(ExitCode::kData, {.problem = fmt::format("{}: {} at offset {} is damaged", path, what, offset),
                                .why = fmt::format("expected {}, found {}", expected, found),
                                .suggestion = "Restore the file from a copy, or see what `orthant verify` "
                                              "says of its directory."});
}

Hash128 header_hash_of(const Header& header) {
  return hash128(&header, kBlockHeaderBytes - kHashBytes);
}

Hash128 index_hash_of(const std::vector<BlockPlace>& places, const Tail& tail) {
  HashStream hash;
  hash.update(places.data(), static_cast<int64_t>(places.size() * sizeof(BlockPlace)));
  hash.update(&tail, offsetof(Tail, hash));
  return hash.digest();
}

std::string bounded_text(const char* text, size_t room) {
  return {text, strnlen(text, room)};
}

}  // namespace

BlockWriter::BlockWriter(const std::string& path, std::string_view kind, std::string_view description)
    : file_(File::create(path)) {
  require(kind.size() < sizeof(Header::kind), "the kind fits the header");
  require(static_cast<int64_t>(description.size()) <= kLargestBlockDescription,
          "the description fits the header");
  Header header{};
  std::copy(kHeaderMagic.begin(), kHeaderMagic.end(), header.magic);
  header.version = kBlockFormatVersion;
  header.byte_order = kByteOrderMark;
  std::copy(kind.begin(), kind.end(), header.kind);
  header.description_bytes = static_cast<int64_t>(description.size());
  std::copy(description.begin(), description.end(), header.description);
  header.hash = header_hash_ = header_hash_of(header);
  file_.write(&header, sizeof header);
}

BlockPlace BlockWriter::append(const void* data, int64_t bytes) {
  const std::span<const std::byte> piece(static_cast<const std::byte*>(data), static_cast<size_t>(bytes));
  return append(std::span(&piece, 1));
}

BlockPlace BlockWriter::append(std::span<const std::span<const std::byte>> pieces) {
  HashStream hash;
  BlockPlace place{.offset = end_, .bytes = 0, .hash = {}};
  for (const std::span<const std::byte> piece : pieces) {
    const auto bytes = static_cast<int64_t>(piece.size());
    hash.update(piece.data(), bytes);
    file_.write(piece.data(), bytes);
    place.bytes += bytes;
  }
  place.hash = hash.digest();
  end_ += place.bytes;
  return places_.emplace_back(place);
}

Hash128 BlockWriter::finish() {
  Tail tail{};
  tail.blocks = blocks();
  tail.index_offset = end_;
  tail.header_hash = header_hash_;
  tail.hash = index_hash_of(places_, tail);
  std::copy(kTailMagic.begin(), kTailMagic.end(), tail.magic);
  const auto index_bytes = static_cast<int64_t>(places_.size() * sizeof(BlockPlace));
  file_.write(places_.data(), index_bytes);
  file_.write(&tail, sizeof tail);
  end_ += index_bytes + static_cast<int64_t>(sizeof tail);
  file_.sync();
  file_.close();
  return tail.hash;
}

BlockReader::BlockReader(const std::string& path, std::string_view kind) : file_(File::open(path)) {
  check_index(check_header(kind));
}

Hash128 BlockReader::check_header(std::string_view kind) {
  Header header{};
  file_.read_exactly_at(&header, sizeof header, 0);
  if (std::string_view(header.magic, 8) != kHeaderMagic) {
    damaged(path(), 0, "the magic number", "an orthant block file", "other bytes");
  }
  // Version before hash: a later format may hash other bytes.
  if (header.version != kBlockFormatVersion) {
    damaged(path(), offsetof(Header, version), "the header",
            fmt::format("format version {}", kBlockFormatVersion), fmt::format("{}", header.version));
  }
  const Hash128 found = header_hash_of(header);
  if (found != header.hash) damaged(path(), 0, "the header", to_hex(header.hash), to_hex(found));
  if (header.byte_order != kByteOrderMark)
    damaged(path(), 12, "the header", "little-endian", "another byte order");
  if (const std::string stored = bounded_text(header.kind, sizeof header.kind); stored != kind) {
    damaged(path(), offsetof(Header, kind), "the kind", fmt::format("'{}'", kind),
            fmt::format("'{}'", stored));
  }
  if (header.description_bytes < 0 || header.description_bytes > kLargestBlockDescription) {
    damaged(path(), offsetof(Header, description_bytes), "the header", "a short description",
            fmt::format("{} bytes", header.description_bytes));
  }
  description_.assign(header.description, static_cast<size_t>(header.description_bytes));
  return found;
}

void BlockReader::check_index(Hash128 header_hash) {
  const int64_t size = file_.size();
  const int64_t tail_offset = size - static_cast<int64_t>(sizeof(Tail));
  if (tail_offset < kBlockHeaderBytes) damaged(path(), size, "the end", "an index", "the end of the file");
  Tail tail{};
  file_.read_exactly_at(&tail, sizeof tail, tail_offset);
  if (std::string_view(tail.magic, 8) != kTailMagic || tail.unused != 0) {
    damaged(path(), tail_offset, "the tail", "its magic number",
            "other bytes; the file is truncated or longer");
  }
  const int64_t room = tail_offset - kBlockHeaderBytes;
  if (tail.blocks < 0 || tail.blocks > room / 32 || tail.index_offset != tail_offset - tail.blocks * 32) {
    damaged(path(), tail_offset, "the tail", fmt::format("an index that ends at {}", tail_offset),
            fmt::format("{} blocks with an index at {}", tail.blocks, tail.index_offset));
  }
  places_.resize(static_cast<size_t>(tail.blocks));
  file_.read_exactly_at(places_.data(), tail.blocks * 32, tail.index_offset);
  hash_ = index_hash_of(places_, tail);
  if (hash_ != tail.hash) damaged(path(), tail.index_offset, "the index", to_hex(tail.hash), to_hex(hash_));
  if (header_hash != tail.header_hash) {
    damaged(path(), 0, "the header", to_hex(tail.header_hash), to_hex(header_hash));
  }
  int64_t end = kBlockHeaderBytes;
  for (const BlockPlace& place : places_) {
    if (place.offset != end || place.bytes < 0 || place.bytes > tail.index_offset - end) {
      damaged(path(), tail.index_offset, "the index", fmt::format("a block at offset {}", end),
              fmt::format("{} bytes at offset {}", place.bytes, place.offset));
    }
    end += place.bytes;
  }
  if (end != tail.index_offset) {
    damaged(path(), end, "the data", fmt::format("blocks up to offset {}", tail.index_offset),
            fmt::format("{}", end));
  }
}

void BlockReader::read(int64_t block, void* into) const {
  require(block >= 0 && block < blocks(), "the block is in the file");
  const BlockPlace& wanted = place(block);
  file_.read_exactly_at(into, wanted.bytes, wanted.offset);
  const Hash128 found = hash128(into, wanted.bytes);
  if (found != wanted.hash) {
    damaged(path(), wanted.offset, fmt::format("block {} ({} bytes)", block, wanted.bytes),
            to_hex(wanted.hash), to_hex(found));
  }
}

void BlockReader::will_need(int64_t block, int64_t count) const noexcept {
  if (block < 0 || count <= 0 || block + count > blocks()) return;
  const BlockPlace& last = place(block + count - 1);
  file_.will_need(place(block).offset, last.offset + last.bytes - place(block).offset);
}

}  // namespace orthant
