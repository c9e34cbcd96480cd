#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "runtime/core/error.h"
#include "runtime/storage/activation_store.h"
#include "runtime/storage/sealed_json.h"

namespace orthant {
namespace {

namespace json = boost::json;

constexpr std::string_view kRepair =
    "Remove the damaged shard and result.json, then run the same harvest again; it makes what is missing.";
constexpr std::string_view kRepairList =
    "Remove store.json and result.json, then run the same harvest again; it lists the shards anew.";

struct StoreFile {
  int64_t rows = 0;
  int64_t d_model = 0;
  Dtype dtype = Dtype::kBF16;
  std::string content_hash;
  std::string token_hash;  // empty: written before stores recorded it
  json::object provenance;
  std::vector<StoredShard> shards;
};

StoreFile read_store_file(const std::string& path) {
  if (!std::filesystem::exists(path)) {
    throw Error(ExitCode::kIo, {.problem = fmt::format("there is no activation store at {}", path),
                                .why = "no such file or directory",
                                .suggestion = "Name the directory that harvest wrote (its --out)."});
  }
  const std::string file = path + "/" + std::string(kStoreFile);
  if (!std::filesystem::exists(file)) {
    throw Error(
        ExitCode::kData,
        {.problem = fmt::format("{} is no finished activation store", path),
         .why = fmt::format("there is no {}", kStoreFile),
         .suggestion = "Name the directory that harvest wrote, or run the same harvest again to finish it."});
  }
  const json::object fields = read_sealed_json(file);
  try {
    if (fields.at("format").as_int64() != kStoreFormatVersion) {
      throw Error(ExitCode::kData,
                  {.problem = fmt::format("{} has format {}", file, fields.at("format").as_int64()),
                   .why = fmt::format("this program reads format {}", kStoreFormatVersion),
                   .suggestion = "Read it with the version of orthant that wrote it, or harvest again."});
    }
    StoreFile store{.rows = fields.at("rows").as_int64(),
                    .d_model = fields.at("d_model").as_int64(),
                    .dtype = dtype_from_name(std::string_view(fields.at("dtype").as_string())),
                    .content_hash = std::string(fields.at("content_hash").as_string()),
                    .token_hash = fields.contains("token_hash")
                                      ? std::string(fields.at("token_hash").as_string())
                                      : std::string(),
                    .provenance = fields.at("provenance").as_object(),
                    .shards = {}};
    for (const json::value& listed : fields.at("shards").as_array()) {
      const json::object& shard = listed.as_object();
      store.shards.push_back({.file = std::string(shard.at("file").as_string()),
                              .first_row = shard.at("first_row").as_int64(),
                              .rows = shard.at("rows").as_int64(),
                              .hash = hash128_from_hex(std::string_view(shard.at("hash").as_string()))});
    }
    return store;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {  // a key that is absent or of another type
    throw Error(ExitCode::kData, {.problem = fmt::format("{} does not describe an activation store", file),
                                  .why = error.what(),
                                  .suggestion = std::string(kRepairList)});
  }
}

BlockReader open_shard(const std::string& path, const StoreFile& store, const StoredShard& listed) {
  const std::string file = path + "/" + listed.file;
  if (!std::filesystem::exists(file)) {
    throw Error(ExitCode::kData, {.problem = fmt::format("{} is missing", file),
                                  .why = fmt::format("{} lists it with rows {} to {}", kStoreFile,
                                                     listed.first_row, listed.end()),
                                  .suggestion = std::string(kRepair)});
  }
  BlockReader reader(file, kShardKind);
  const StoredShard found = shard_of(reader, listed.file, store.d_model, store.dtype);
  if (found.hash != listed.hash || found.first_row != listed.first_row || found.rows != listed.rows) {
    throw Error(ExitCode::kData,
                {.problem = fmt::format("{} is another shard than {} lists", file, kStoreFile),
                 .why = fmt::format("expected rows {} to {} with hash {}, found rows {} to {} with hash {}",
                                    listed.first_row, listed.end(), to_hex(listed.hash), found.first_row,
                                    found.end(), to_hex(found.hash)),
                 .suggestion = std::string(kRepair)});
  }
  return reader;
}

void check_cover(const std::string& path, const StoreFile& store) {
  int64_t next = 0;
  for (const StoredShard& shard : store.shards) {
    if (shard.first_row != next) break;
    next = shard.end();
  }
  if (next != store.rows) {
    throw Error(ExitCode::kData, {.problem = fmt::format("the shards of {} do not cover row {}", path, next),
                                  .why = fmt::format("{} rows are expected", store.rows),
                                  .suggestion = std::string(kRepairList)});
  }
}

}  // namespace

StoreReader::StoreReader(const std::string& path) : path_(path) {
  StoreFile store = read_store_file(path);
  check_cover(path, store);
  for (const StoredShard& shard : store.shards) readers_.push_back(open_shard(path, store, shard));
  rows_ = store.rows;
  d_model_ = store.d_model;
  dtype_ = store.dtype;
  block_rows_ = rows_per_block(d_model_, dtype_);
  content_hash_ = std::move(store.content_hash);
  token_hash_ = std::move(store.token_hash);
  provenance_ = std::move(store.provenance);
  shards_ = std::move(store.shards);
}

std::string StoreReader::token_hash() const {
  if (!token_hash_.empty()) return token_hash_;
  return to_hex(token_hash_of(path_, shards_, rows_, d_model_, dtype_));
}

size_t StoreReader::shard_at(int64_t row) const {
  const auto after =
      std::upper_bound(shards_.begin(), shards_.end(), row,
                       [](int64_t wanted, const StoredShard& shard) { return wanted < shard.first_row; });
  return static_cast<size_t>(after - shards_.begin()) - 1;
}

void StoreReader::read(int64_t first, Matrix<float> into, RowLabels* labels) {
  require(into.shape[1] == d_model_, "the destination has the store's d_model");
  const int64_t row_bytes = d_model_ * bytes_of(dtype_);
  for (int64_t done = 0; done < into.shape[0];) {  // by blocks, so that the room needed is bounded
    const int64_t part = std::min(into.shape[0] - done, block_rows_ - (first + done) % block_rows_);
    stored_.resize(static_cast<size_t>(part * row_bytes));
    read_stored(first + done, part, stored_.data(), scratch_);
    widen(dtype_, stored_.data(), into.rows(done, part).span());
    done += part;
  }
  if (labels == nullptr) return;
  LabelledNorms read;
  read_labels(first, into.shape[0], read);
  *labels = std::move(read.labels);
}

void StoreReader::read_stored(int64_t first, int64_t count, std::byte* into,
                              std::vector<std::byte>& scratch) const {
  require(first >= 0 && count >= 0 && first + count <= rows_, "the rows lie in the store");
  const int64_t row_bytes = d_model_ * bytes_of(dtype_);
  while (count > 0) {
    const size_t at = shard_at(first);
    const StoredShard& shard = shards_[at];
    const int64_t group = first / block_rows_;
    const int64_t block_first = std::max(group * block_rows_, shard.first_row);
    const int64_t block_end = std::min((group + 1) * block_rows_, shard.end());
    const int64_t block = group - shard.first_row / block_rows_;
    const int64_t part = std::min(count, block_end - first);
    if (part == block_end - block_first) {
      readers_[at].read(block, into);
    } else {
      scratch.resize(static_cast<size_t>((block_end - block_first) * row_bytes));
      readers_[at].read(block, scratch.data());
      std::memcpy(into, scratch.data() + (first - block_first) * row_bytes,
                  static_cast<size_t>(part * row_bytes));
    }
    into += part * row_bytes;
    first += part;
    count -= part;
  }
}

void StoreReader::read_labels(int64_t first, int64_t count, LabelledNorms& into) const {
  require(first >= 0 && count >= 0 && first + count <= rows_, "the rows lie in the store");
  std::vector<std::byte> block;
  while (count > 0) {
    const size_t at = shard_at(first);
    const StoredShard& shard = shards_[at];
    const int64_t group = first / kLabelBlockRows;
    const int64_t block_first = std::max(group * kLabelBlockRows, shard.first_row);
    const int64_t index =
        blocks_touched(shard.first_row, shard.rows, block_rows_) + group - shard.first_row / kLabelBlockRows;
    block.resize(static_cast<size_t>(readers_[at].place(index).bytes));
    readers_[at].read(index, block.data());
    LabelledNorms whole;
    unpack_labels(block, whole);
    const int64_t skipped = first - block_first;
    const int64_t part = std::min(count, static_cast<int64_t>(whole.norms.size()) - skipped);
    const std::vector<std::byte> wanted = pack_labels(whole, skipped, part);
    unpack_labels(wanted, into);
    first += part;
    count -= part;
  }
}

std::vector<Damage> verify_store(const std::string& path) {
  std::vector<Damage> damage;
  const auto attempt = [&](const std::string& file, const auto& check) {
    try {
      check();
    } catch (const Error& error) {
      damage.push_back({.file = file, .reason = error.what(), .repair = std::string(kRepair)});
    }
  };
  StoreFile store;
  attempt(std::string(kStoreFile), [&] {
    store = read_store_file(path);
    check_cover(path, store);
  });
  if (!damage.empty()) {
    damage[0].repair = std::string(kRepairList);
    return damage;
  }
  for (const StoredShard& shard : store.shards) {
    attempt(shard.file, [&] {
      const BlockReader reader = open_shard(path, store, shard);
      std::vector<std::byte> block;
      for (int64_t i = 0; i < reader.blocks(); ++i) {
        block.resize(static_cast<size_t>(reader.place(i).bytes));
        reader.read(i, block.data());
      }
    });
  }
  if (!damage.empty()) return damage;
  const auto expect = [&](const char* what, const std::string& recorded, Hash128 hash) {
    if (recorded.empty() || to_hex(hash) == recorded) return;
    throw Error(ExitCode::kData, {.problem = fmt::format("{} has another {}", path, what),
                                  .why = fmt::format("expected {}, found {}", recorded, to_hex(hash)),
                                  .suggestion = std::string(kRepairList)});
  };
  attempt(std::string(kStoreFile), [&] {
    expect("content hash", store.content_hash,
           content_hash_of(path, store.shards, store.rows, store.d_model, store.dtype));
    expect("token hash", store.token_hash,
           token_hash_of(path, store.shards, store.rows, store.d_model, store.dtype));
  });
  return damage;
}

}  // namespace orthant
