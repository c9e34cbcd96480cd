#include "runtime/storage/store_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "runtime/core/error.h"

namespace orthant {
namespace {

namespace json = boost::json;

constexpr int64_t kBlockBytes = int64_t{2} << 20;
constexpr int64_t kShardBytes = int64_t{1} << 30;
constexpr int64_t kMostShards = 256;
constexpr int64_t kMostShardRows = int64_t{1} << 22;  // bounds the labels that a writer holds to 80 MiB

int64_t power_of_two_within(int64_t value) {
  return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(std::max<int64_t>(value, 1))));
}

template <typename T>
void pack(const std::vector<T>& values, int64_t first, int64_t count, std::byte*& into) {
  const auto bytes = static_cast<size_t>(count) * sizeof(T);
  if (bytes > 0) std::memcpy(into, values.data() + first, bytes);
  into += bytes;
}

template <typename T>
void unpack(const std::byte*& from, size_t count, std::vector<T>& into) {
  const size_t before = into.size();
  into.resize(before + count);
  if (count > 0) std::memcpy(into.data() + before, from, count * sizeof(T));
  from += count * sizeof(T);
}

[[noreturn]] void damaged(const std::string& path, const std::string& problem, const std::string& why) {
  throw Error(
      ExitCode::kData,
      {.problem = fmt::format("{}: {}", path, problem),
       .why = why,
       .suggestion = "Remove this shard and result.json, then run the same harvest again; it makes what is "
                     "missing."});
}

int64_t whole_number(const json::object& fields, std::string_view key, const std::string& path) {
  const json::value* value = fields.if_contains(key);
  if (value == nullptr || !value->is_int64() || value->get_int64() < 0) {
    damaged(path, fmt::format("the header has no '{}'", key), "a whole number is expected");
  }
  return value->get_int64();
}

void append_block_bytes(const StoredShard& shard, int64_t block_rows, int64_t row_bytes,
                        std::vector<int64_t>& into) {
  for (int64_t row = shard.first_row; row < shard.end();) {
    const int64_t end = std::min(shard.end(), (row / block_rows + 1) * block_rows);
    into.push_back((end - row) * row_bytes);
    row = end;
  }
}

// The sizes that the activation and label blocks of a shard must have.
std::vector<int64_t> block_bytes_of(const StoredShard& shard, int64_t d_model, Dtype dtype) {
  std::vector<int64_t> bytes;
  append_block_bytes(shard, rows_per_block(d_model, dtype), d_model * bytes_of(dtype), bytes);
  append_block_bytes(shard, kLabelBlockRows, kLabelBytesPerRow, bytes);
  return bytes;
}

}  // namespace

int64_t rows_per_block(int64_t d_model, Dtype dtype) {
  return std::min<int64_t>(power_of_two_within(kBlockBytes / std::max<int64_t>(d_model * bytes_of(dtype), 1)),
                           65536);
}

int64_t rows_per_shard(const StoreDescription& description) {
  const int64_t row_bytes = description.d_model * bytes_of(description.dtype);
  const int64_t few = description.rows / kMostShards * row_bytes * 2;
  const int64_t bytes = description.shard_bytes > 0 ? description.shard_bytes : std::max(kShardBytes, few);
  const int64_t rows = std::min(power_of_two_within(bytes / row_bytes), kMostShardRows);
  return std::max({rows, kLabelBlockRows, rows_per_block(description.d_model, description.dtype)});
}

int64_t blocks_touched(int64_t first, int64_t count, int64_t block_rows) {
  return count == 0 ? 0 : (first + count - 1) / block_rows - first / block_rows + 1;
}

std::string identity_of(const StoreDescription& description) {
  const json::object fields = {{"format", kStoreFormatVersion},
                               {"rows", description.rows},
                               {"d_model", description.d_model},
                               {"dtype", json::string_view(name_of(description.dtype))},
                               {"provenance", description.provenance}};
  return to_hex(hash128(json::serialize(fields)));
}

std::string shard_name(int64_t first_row) {
  return fmt::format("shard-{:015d}.bin", first_row);
}

std::vector<std::byte> pack_labels(const LabelledNorms& labels, int64_t first, int64_t count) {
  std::vector<std::byte> block(static_cast<size_t>(count * kLabelBytesPerRow));
  std::byte* into = block.data();
  pack(labels.labels.token_ids, first, count, into);
  pack(labels.labels.positions, first, count, into);
  pack(labels.labels.documents, first, count, into);
  pack(labels.norms, first, count, into);
  return block;
}

void unpack_labels(std::span<const std::byte> block, LabelledNorms& into) {
  const size_t count = block.size() / static_cast<size_t>(kLabelBytesPerRow);
  const std::byte* from = block.data();
  unpack(from, count, into.labels.token_ids);
  unpack(from, count, into.labels.positions);
  unpack(from, count, into.labels.documents);
  unpack(from, count, into.norms);
}

StoredShard shard_of(const BlockReader& reader, const std::string& file, int64_t d_model, Dtype dtype) {
  boost::system::error_code error;
  const json::value header = json::parse(reader.description(), error);
  if (error || !header.is_object())
    damaged(reader.path(), "the header holds no JSON object", error.message());
  StoredShard shard{.file = file, .hash = reader.hash()};
  shard.first_row = whole_number(header.get_object(), "first_row", reader.path());
  const int64_t last = reader.blocks() - 1;
  ShardCounts counts;
  if (last < 0 || reader.place(last).bytes != static_cast<int64_t>(sizeof counts)) {
    damaged(reader.path(), "the last block is not the counts of a shard", "16 bytes are expected");
  }
  reader.read(last, &counts);
  shard.rows = counts.rows;
  if (counts.rows < 0 || counts.rows > reader.file_bytes() / kLabelBytesPerRow) {
    damaged(reader.path(), fmt::format("it claims {} rows", counts.rows),
            fmt::format("the file has {} bytes", reader.file_bytes()));
  }
  const std::vector<int64_t> expected = block_bytes_of(shard, d_model, dtype);
  bool fits =
      counts.rows > 0 && static_cast<int64_t>(expected.size()) == last &&
      counts.activation_blocks == blocks_touched(shard.first_row, shard.rows, rows_per_block(d_model, dtype));
  for (int64_t i = 0; fits && i < last; ++i) fits = reader.place(i).bytes == expected[static_cast<size_t>(i)];
  if (!fits) {
    damaged(reader.path(), fmt::format("{} blocks do not hold {} rows", reader.blocks(), counts.rows),
            fmt::format("d_model {}, {}", d_model, name_of(dtype)));
  }
  return shard;
}

std::vector<StoredShard> complete_shards(const std::string& directory, const std::string& identity) {
  std::vector<StoredShard> shards;
  for (const std::string& name : names_in(directory)) {
    if (!name.starts_with("shard-") || !name.ends_with(".bin")) continue;
    const std::string path = directory + "/" + name;
    const BlockReader reader(path, kShardKind);
    boost::system::error_code error;
    const json::value header = json::parse(reader.description(), error);
    const json::value* found =
        error || !header.is_object() ? nullptr : header.get_object().if_contains("store");
    if (found == nullptr || !found->is_string())
      damaged(path, "the header names no store", "it is not a shard");
    if (!identity.empty() && std::string_view(found->get_string()) != identity) {
      throw Error(ExitCode::kConfig, {.problem = fmt::format("{} belongs to another store", path),
                                      .why = "model, text, hook, context or dtype differ from this harvest",
                                      .suggestion = "Choose another --out or add --fresh."});
    }
    const std::string dtype(header.at("dtype").as_string());
    shards.push_back(
        shard_of(reader, name, whole_number(header.get_object(), "d_model", path), dtype_from_name(dtype)));
  }
  std::sort(shards.begin(), shards.end(),
            [](const auto& a, const auto& b) { return a.first_row < b.first_row; });
  for (size_t i = 1; i < shards.size(); ++i) {
    if (shards[i].first_row < shards[i - 1].end()) {
      damaged(directory + "/" + shards[i].file, fmt::format("it begins at row {}", shards[i].first_row),
              fmt::format("{} ends at row {}", shards[i - 1].file, shards[i - 1].end()));
    }
  }
  return shards;
}

}  // namespace orthant
