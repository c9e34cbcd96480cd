// A store of activations on disk: a directory of shards and a `store.json` that lists them.
//
// Rows are numbered in document and position order whatever the ranks that wrote them. A shard appears by
// rename when it is complete, and store.json when all shards are there; a shard that is complete is never
// written again, so a harvest that was stopped makes only the missing ranges. Nothing is given out before its
// hash was checked.
#pragma once

#include <boost/json.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/comm/control_group.h"
#include "runtime/device/tensor.h"
#include "runtime/storage/blocks.h"
#include "runtime/storage/damage.h"
#include "runtime/storage/store_layout.h"

namespace orthant {

// Rows that no complete shard holds, in order. Call it before any rank writes. Throws Error(kConfig) when the
// directory holds shards of another store.
[[nodiscard]] std::vector<Share> missing_ranges(const std::string& path, const StoreDescription& description);

// The block that a writer fills before it is written.
[[nodiscard]] Tensor<std::byte, 1> allocate_store_block(int64_t d_model, Dtype dtype, Memory& memory);
// Bytes on disk of `rows` rows with their labels, but for headers and indices.
[[nodiscard]] int64_t store_bytes(int64_t rows, int64_t d_model, Dtype dtype);

// Writes rows of one rank. One thread. A full disk throws Error(kIo); complete shards stay valid.
class StoreWriter {
 public:
  // Makes the directory.
  StoreWriter(std::string path, StoreDescription description, Memory& memory);
  ~StoreWriter();  // an open shard that was not published is removed: its rows are missing and made again
  StoreWriter(const StoreWriter&) = delete;
  StoreWriter& operator=(const StoreWriter&) = delete;

  // The next append() starts at this row of the store. Publishes the open shard.
  void begin(int64_t first_row);
  // Rows [next_row(), next_row() + rows.shape[0]), rounded to the store's element type; all labels are given.
  void append(Matrix<const float> rows /* [rows, d_model] */, const RowLabels& labels);
  // Completes the open shard, whatever its size, so that its rows are kept.
  void publish();
  [[nodiscard]] int64_t next_row() const { return next_row_; }

 private:
  void open_shard();
  void flush_block();
  void append_labels();
  std::string path_;
  StoreDescription description_;
  std::string identity_;
  int64_t block_rows_;
  int64_t shard_rows_;
  Tensor<std::byte, 1> block_;  // rows of the block that fills, as stored
  std::vector<float> row_;      // [d_model]
  std::optional<BlockWriter> shard_;
  LabelledNorms labels_;  // of the open shard
  int64_t shard_first_ = 0;
  int64_t next_row_ = 0;
  int64_t buffered_rows_ = 0;
};

// Writes store.json when the shards cover all rows; otherwise throws Error(kData) naming the first missing
// range. Returns the content hash. One rank, when all others have published.
std::string seal_store(const std::string& path, const StoreDescription& description);
// Collective. Publishes each rank's open shard; rank 0 then seals the store. Returns the content hash on all
// ranks.
std::string finish_store(StoreWriter& writer, const std::string& path, const StoreDescription& description,
                         ControlGroup& control);

// Reads a finished store. Opening checks store.json and every shard's header, index and size. The calls that
// take a scratch are thread-safe; read() is for one thread.
class StoreReader {
 public:
  // Throws Error(kData) naming the file when one is damaged or missing.
  explicit StoreReader(const std::string& path);
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int64_t rows() const { return rows_; }
  [[nodiscard]] int64_t d_model() const { return d_model_; }
  [[nodiscard]] Dtype dtype() const { return dtype_; }
  [[nodiscard]] int64_t block_rows() const { return block_rows_; }
  [[nodiscard]] const std::string& content_hash() const { return content_hash_; }
  // Equal where row i of two stores is the same token for every i (see token_hash_of()); of a store that
  // recorded none all labels are read.
  [[nodiscard]] std::string token_hash() const;
  [[nodiscard]] const boost::json::object& provenance() const { return provenance_; }
  [[nodiscard]] const std::vector<StoredShard>& shards() const { return shards_; }

  // Rows [first, first + into.shape[0]) as f32; `labels` may be null and is replaced.
  void read(int64_t first, Matrix<float> into /* [rows, d_model] */, RowLabels* labels);
  // The stored elements of rows [first, first + count). `scratch` is room that is kept between calls.
  void read_stored(int64_t first, int64_t count, std::byte* into, std::vector<std::byte>& scratch) const;
  // Labels and norms of rows [first, first + count), without activations; appended to `into`.
  void read_labels(int64_t first, int64_t count, LabelledNorms& into) const;

 private:
  [[nodiscard]] size_t shard_at(int64_t row) const;
  std::string path_;
  int64_t rows_ = 0;
  int64_t d_model_ = 0;
  Dtype dtype_ = Dtype::kBF16;
  int64_t block_rows_ = 1;
  std::string content_hash_;
  std::string token_hash_;
  boost::json::object provenance_;
  std::vector<StoredShard> shards_;
  std::vector<BlockReader> readers_;  // of each shard
  std::vector<std::byte> scratch_, stored_;
};

// Reads everything and checks every hash and the content hash. Empty: the store is whole. Never throws for
// damage.
[[nodiscard]] std::vector<Damage> verify_store(const std::string& path);

}  // namespace orthant
