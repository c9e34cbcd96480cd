#include <fmt/format.h>

#include <algorithm>

#include "runtime/core/error.h"
#include "runtime/storage/store_layout.h"

namespace orthant {
namespace {

// Hashes of the store's blocks in order, from blocks that may be cut by shards.
class ActivationBlocks {
 public:
  ActivationBlocks(int64_t rows, int64_t d_model, Dtype dtype)
      : rows_(rows), block_rows_(rows_per_block(d_model, dtype)), row_bytes_(d_model * bytes_of(dtype)) {}

  // The next `count` rows of the store are block `index` of `reader`.
  void add(const BlockReader& reader, int64_t index, HashStream& into) {
    const BlockPlace& place = reader.place(index);
    const int64_t count = place.bytes / row_bytes_;
    const int64_t whole = std::min(block_rows_, rows_ - next_row_ / block_rows_ * block_rows_);
    next_row_ += count;
    if (part_.empty() && count == whole) return into.update(&place.hash, sizeof place.hash);
    const size_t before = part_.size();
    part_.resize(before + static_cast<size_t>(place.bytes));
    reader.read(index, part_.data() + before);
    if (static_cast<int64_t>(part_.size()) < whole * row_bytes_) return;
    const Hash128 hash = hash128(part_.data(), static_cast<int64_t>(part_.size()));
    into.update(&hash, sizeof hash);
    part_.clear();
  }

 private:
  int64_t rows_, block_rows_, row_bytes_;
  int64_t next_row_ = 0;
  std::vector<std::byte> part_;
};

class LabelBlocks {
 public:
  explicit LabelBlocks(int64_t rows) : rows_(rows) {}

  void add(const BlockReader& reader, int64_t index, HashStream& into) {
    const BlockPlace& place = reader.place(index);
    const int64_t count = place.bytes / kLabelBytesPerRow;
    const int64_t whole = std::min(kLabelBlockRows, rows_ - next_row_ / kLabelBlockRows * kLabelBlockRows);
    next_row_ += count;
    if (part_.norms.empty() && count == whole) return into.update(&place.hash, sizeof place.hash);
    std::vector<std::byte> block(static_cast<size_t>(place.bytes));
    reader.read(index, block.data());
    unpack_labels(block, part_);
    if (static_cast<int64_t>(part_.norms.size()) < whole) return;
    const std::vector<std::byte> packed = pack_labels(part_, 0, whole);
    const Hash128 hash = hash128(packed.data(), static_cast<int64_t>(packed.size()));
    into.update(&hash, sizeof hash);
    part_ = {};
  }

 private:
  int64_t rows_;
  int64_t next_row_ = 0;
  LabelledNorms part_;
};

}  // namespace

Hash128 content_hash_of(const std::string& directory, const std::vector<StoredShard>& shards, int64_t rows,
                        int64_t d_model, Dtype dtype) {
  HashStream activations, labels;
  ActivationBlocks activation_blocks(rows, d_model, dtype);
  LabelBlocks label_blocks(rows);
  for (const StoredShard& shard : shards) {
    const BlockReader reader(directory + "/" + shard.file, kShardKind);
    const int64_t first_label = blocks_touched(shard.first_row, shard.rows, rows_per_block(d_model, dtype));
    for (int64_t i = 0; i < first_label; ++i) activation_blocks.add(reader, i, activations);
    for (int64_t i = first_label; i < reader.blocks() - 1; ++i) label_blocks.add(reader, i, labels);
  }
  const std::string head = fmt::format("orthant activation store {} {} {} {}\n", kStoreFormatVersion,
                                       name_of(dtype), d_model, rows);
  HashStream content;
  content.update(head.data(), static_cast<int64_t>(head.size()));
  for (const Hash128 part : {activations.digest(), labels.digest()}) content.update(&part, sizeof part);
  return content.digest();
}

Hash128 token_hash_of(const std::string& directory, const std::vector<StoredShard>& shards, int64_t rows,
                      int64_t d_model, Dtype dtype) {
  HashStream token_ids, positions, documents;
  const auto add = [](const auto& values, HashStream& into) {
    into.update(values.data(), static_cast<int64_t>(values.size() * sizeof(values[0])));
  };
  std::vector<std::byte> block;
  for (const StoredShard& shard : shards) {
    const BlockReader reader(directory + "/" + shard.file, kShardKind);
    const int64_t first_label = blocks_touched(shard.first_row, shard.rows, rows_per_block(d_model, dtype));
    for (int64_t i = first_label; i < reader.blocks() - 1; ++i) {
      block.resize(static_cast<size_t>(reader.place(i).bytes));
      reader.read(i, block.data());
      LabelledNorms read;
      unpack_labels(block, read);
      add(read.labels.token_ids, token_ids);
      add(read.labels.positions, positions);
      add(read.labels.documents, documents);
    }
  }
  const std::string head = fmt::format("orthant tokens {}\n", rows);
  HashStream tokens;
  tokens.update(head.data(), static_cast<int64_t>(head.size()));
  for (const Hash128 part : {token_ids.digest(), positions.digest(), documents.digest()}) {
    tokens.update(&part, sizeof part);
  }
  return tokens.digest();
}

}  // namespace orthant
