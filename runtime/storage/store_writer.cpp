#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "runtime/core/error.h"
#include "runtime/job/faults.h"
#include "runtime/storage/activation_store.h"
#include "runtime/storage/sealed_json.h"

namespace orthant {
namespace {

namespace json = boost::json;

template <typename T>
void append_all(const std::vector<T>& from, int64_t first, int64_t count, std::vector<T>& into) {
  into.insert(into.end(), from.begin() + first, from.begin() + first + count);
}

// Of the row as it is stored, so that the norm is a function of the file.
float norm_of(std::span<const float> row) {
  double sum = 0;
  for (const float value : row) sum += static_cast<double>(value) * static_cast<double>(value);
  return static_cast<float>(std::sqrt(sum));
}

}  // namespace

std::vector<Share> missing_ranges(const std::string& path, const StoreDescription& description) {
  std::vector<Share> missing;
  int64_t next = 0;
  for (const StoredShard& shard : complete_shards(path, identity_of(description))) {
    if (shard.first_row > next) missing.push_back({next, shard.first_row - next});
    next = shard.end();
  }
  if (next < description.rows) missing.push_back({next, description.rows - next});
  return missing;
}

Tensor<std::byte, 1> allocate_store_block(int64_t d_model, Dtype dtype, Memory& memory) {
  return {memory, "store block", {rows_per_block(d_model, dtype) * d_model * bytes_of(dtype)}};
}

int64_t store_bytes(int64_t rows, int64_t d_model, Dtype dtype) {
  return rows * (d_model * bytes_of(dtype) + kLabelBytesPerRow);
}

StoreWriter::StoreWriter(std::string path, StoreDescription description, Memory& memory)
    : path_(std::move(path)),
      description_(std::move(description)),
      identity_(identity_of(description_)),
      block_rows_(rows_per_block(description_.d_model, description_.dtype)),
      shard_rows_(rows_per_shard(description_)),
      block_(allocate_store_block(description_.d_model, description_.dtype, memory)),
      row_(static_cast<size_t>(description_.d_model)) {
  require(description_.d_model >= 1 && description_.rows >= 0, "a store has a shape");
  make_directory(path_);
}

StoreWriter::~StoreWriter() {
  if (shard_) ::unlink(shard_->path().c_str());
}

void StoreWriter::begin(int64_t first_row) {
  publish();
  require(first_row >= 0 && first_row <= description_.rows, "the row lies in the store");
  next_row_ = first_row;
}

void StoreWriter::open_shard() {
  const json::object header = {{"store", identity_},
                               {"first_row", next_row_},
                               {"d_model", description_.d_model},
                               {"dtype", json::string_view(name_of(description_.dtype))}};
  shard_.emplace(path_ + "/" + shard_name(next_row_) + ".tmp", kShardKind, json::serialize(header));
  shard_first_ = next_row_;
}

void StoreWriter::append(Matrix<const float> rows, const RowLabels& labels) {
  const int64_t count = rows.shape[0];
  const auto labelled = static_cast<size_t>(count);
  require(rows.shape[1] == description_.d_model, "rows have the store's d_model");
  require(labels.token_ids.size() == labelled && labels.positions.size() == labelled &&
              labels.documents.size() == labelled,
          "every row has its labels");
  require(next_row_ + count <= description_.rows, "the rows lie in the store");
  const int64_t row_bytes = description_.d_model * bytes_of(description_.dtype);
  for (int64_t done = 0; done < count;) {
    if (!shard_) open_shard();
    const int64_t part = std::min(count - done, block_rows_ - next_row_ % block_rows_);
    const Matrix<const float> taken = rows.rows(done, part);
    std::byte* into = block_.data() + buffered_rows_ * row_bytes;
    narrow(taken.span(), description_.dtype, into);
    for (int64_t i = 0; i < part; ++i) {
      widen(description_.dtype, into + i * row_bytes, row_);
      labels_.norms.push_back(norm_of(row_));
    }
    append_all(labels.token_ids, done, part, labels_.labels.token_ids);
    append_all(labels.positions, done, part, labels_.labels.positions);
    append_all(labels.documents, done, part, labels_.labels.documents);
    buffered_rows_ += part;
    next_row_ += part;
    done += part;
    if (next_row_ % block_rows_ == 0) flush_block();
    if (next_row_ % shard_rows_ == 0) publish();
  }
}

void StoreWriter::flush_block() {
  if (buffered_rows_ == 0) return;
  fault_point("store.write");
  shard_->append(block_.data(), buffered_rows_ * description_.d_model * bytes_of(description_.dtype));
  buffered_rows_ = 0;
}

void StoreWriter::append_labels() {
  const auto rows = static_cast<int64_t>(labels_.norms.size());
  for (int64_t done = 0; done < rows;) {
    const int64_t part = std::min(rows - done, kLabelBlockRows - (shard_first_ + done) % kLabelBlockRows);
    const std::vector<std::byte> block = pack_labels(labels_, done, part);
    shard_->append(block.data(), static_cast<int64_t>(block.size()));
    done += part;
  }
}

void StoreWriter::publish() {
  if (!shard_) return;
  flush_block();
  const ShardCounts counts{.rows = static_cast<int64_t>(labels_.norms.size()),
                           .activation_blocks = shard_->blocks()};
  append_labels();
  shard_->append(&counts, sizeof counts);
  shard_->finish();
  fault_point("store.before_rename");
  rename_path(shard_->path(), path_ + "/" + shard_name(shard_first_));
  shard_.reset();
  labels_ = {};
  sync_directory(path_);
}

std::string seal_store(const std::string& path, const StoreDescription& description) {
  if (const std::vector<Share> missing = missing_ranges(path, description); !missing.empty()) {
    throw Error(ExitCode::kData,
                {.problem = fmt::format("the store {} is not complete", path),
                 .why = fmt::format("rows {} to {} are missing", missing[0].first, missing[0].end()),
                 .suggestion = "Run the same harvest again; it makes what is missing."});
  }
  const std::vector<StoredShard> shards = complete_shards(path, identity_of(description));
  const std::string content_hash =
      to_hex(content_hash_of(path, shards, description.rows, description.d_model, description.dtype));
  const std::string token_hash =
      to_hex(token_hash_of(path, shards, description.rows, description.d_model, description.dtype));
  json::array listed;
  for (const StoredShard& shard : shards) {
    listed.push_back({{"file", shard.file},
                      {"first_row", shard.first_row},
                      {"rows", shard.rows},
                      {"hash", to_hex(shard.hash)}});
  }
  write_sealed_json(path + "/" + std::string(kStoreFile),
                    {{"kind", "activation_store"},
                     {"format", kStoreFormatVersion},
                     {"rows", description.rows},
                     {"d_model", description.d_model},
                     {"dtype", json::string_view(name_of(description.dtype))},
                     {"content_hash", content_hash},
                     {"token_hash", token_hash},
                     {"label_block_rows", kLabelBlockRows},
                     {"provenance", description.provenance},
                     {"shards", std::move(listed)}});
  for (const std::string& name : names_in(path)) {
    if (name.starts_with("shard-") && name.ends_with(".tmp")) remove_path(path + "/" + name);
  }
  return content_hash;
}

}  // namespace orthant
