// A file of hashed blocks: header, blocks back to back, an index at the end.
//
//   header  4096 bytes: magic, format version, byte order, kind, description (JSON text), XXH3-128 of all of
//   it blocks  any number, any size index   per block: offset, bytes, XXH3-128 tail    64 bytes: number of
//   blocks, offset of the index, hash of the header, hash of index and tail, magic
//
// No byte lies outside a hash, so every flipped bit, truncation and appended byte is found before data is
// used; the message names file, offset, expected and found. A writer belongs to one thread; reading is
// thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/hash.h"
#include "runtime/storage/file.h"

namespace orthant {

inline constexpr int64_t kBlockHeaderBytes = 4096;
inline constexpr int64_t kLargestBlockDescription = 3840;
inline constexpr uint32_t kBlockFormatVersion = 1;

struct BlockPlace {
  int64_t offset = 0;
  int64_t bytes = 0;
  Hash128 hash;
  bool operator==(const BlockPlace&) const = default;
};

class BlockWriter {
 public:
  // `kind` has at most 15 characters; `description` at most kLargestBlockDescription bytes.
  BlockWriter(const std::string& path, std::string_view kind, std::string_view description);
  [[nodiscard]] const std::string& path() const { return file_.path(); }
  [[nodiscard]] int64_t blocks() const { return static_cast<int64_t>(places_.size()); }
  // Where the block went.
  BlockPlace append(const void* data, int64_t bytes);
  // A block of several pieces one after the other.
  BlockPlace append(std::span<const std::span<const std::byte>> pieces);
  // Writes the index and brings the file to disk. Returns the hash that stands for the whole file.
  Hash128 finish();
  // Bytes of the file after finish().
  [[nodiscard]] int64_t file_bytes() const { return end_; }

 private:
  File file_;
  std::vector<BlockPlace> places_;
  Hash128 header_hash_;
  int64_t end_ = kBlockHeaderBytes;
};

class BlockReader {
 public:
  // Validates header, index and the size of the file; throws Error(kData), or Error(kIo) when the system
  // refuses.
  BlockReader(const std::string& path, std::string_view kind);
  [[nodiscard]] const std::string& path() const { return file_.path(); }
  [[nodiscard]] const std::string& description() const { return description_; }
  [[nodiscard]] int64_t blocks() const { return static_cast<int64_t>(places_.size()); }
  [[nodiscard]] const BlockPlace& place(int64_t block) const { return places_[static_cast<size_t>(block)]; }
  // Stands for the whole file.
  [[nodiscard]] Hash128 hash() const { return hash_; }
  [[nodiscard]] int64_t file_bytes() const { return file_.size(); }
  // Reads and verifies a block; `into` has room for place(block).bytes.
  void read(int64_t block, void* into) const;
  // Asks the system to read blocks ahead.
  void will_need(int64_t block, int64_t count) const noexcept;

 private:
  Hash128 check_header(std::string_view kind);
  void check_index(Hash128 header_hash);
  File file_;
  std::string description_;
  std::vector<BlockPlace> places_;
  Hash128 hash_;
};

}  // namespace orthant
