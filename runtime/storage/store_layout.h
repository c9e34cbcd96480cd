// How an activation store lies on disk: sizes of blocks and shards, names, the labels of a block, the content
// hash.
//
// A shard is a block file that holds rows [first_row, first_row + rows): its activation blocks, then its
// label blocks, then one block with the two counts of ShardCounts. Blocks end where the row number *of the
// store* is a multiple of the block's rows, so that a block inside a shard is the same whichever shard it is
// in; only the first and last blocks of a shard may be part of one. A label block holds token ids (i32),
// positions (i32), document ids (i64) and the L2 norms of the stored rows (f32), one array after the other.
// Thread-safe.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/core/dtype.h"
#include "runtime/core/hash.h"
#include "runtime/core/share.h"
#include "runtime/job/activation_source.h"
#include "runtime/storage/blocks.h"

namespace orthant {

inline constexpr std::string_view kShardKind = "activations";
inline constexpr std::string_view kStoreFile = "store.json";
inline constexpr int64_t kStoreFormatVersion = 1;
inline constexpr int64_t kLabelBlockRows = 4096;
inline constexpr int64_t kLabelBytesPerRow = 20;

// What a store is, the same on all ranks and in every attempt that writes it.
struct StoreDescription {
  int64_t rows = 0;  // of the whole store
  int64_t d_model = 0;
  Dtype dtype = Dtype::kBF16;      // f32, bf16 or f16
  boost::json::object provenance;  // model, hook, text, context, ...: everything that the rows depend on
  int64_t shard_bytes = 0;  // about; 0: 1 GiB, more for a very large store. No part of what a store is.
};

struct LabelledNorms {
  RowLabels labels;
  std::vector<float> norms;  // [rows]
};

struct ShardCounts {
  int64_t rows = 0;
  int64_t activation_blocks = 0;
};

// A shard that is complete on disk.
struct StoredShard {
  std::string file;  // name within the store
  int64_t first_row = 0;
  int64_t rows = 0;
  Hash128 hash;
  [[nodiscard]] int64_t end() const { return first_row + rows; }
};

// Rows of an activation block, a power of two: about 2 MiB, at most 65,536 rows.
[[nodiscard]] int64_t rows_per_block(int64_t d_model, Dtype dtype);
// Rows at whose multiples a shard ends, a multiple of both kinds of block.
[[nodiscard]] int64_t rows_per_shard(const StoreDescription& description);
// Blocks of `block_rows` that rows [first, first + count) touch.
[[nodiscard]] int64_t blocks_touched(int64_t first, int64_t count, int64_t block_rows);
// What identifies a store before it is written; shards carry it.
[[nodiscard]] std::string identity_of(const StoreDescription& description);
[[nodiscard]] std::string shard_name(int64_t first_row);

// The bytes of a label block for rows [first, first + count) of `labels`, and back.
[[nodiscard]] std::vector<std::byte> pack_labels(const LabelledNorms& labels, int64_t first, int64_t count);
// Appends to `into`.
void unpack_labels(std::span<const std::byte> block, LabelledNorms& into);

// The complete shards of a directory in row order. Throws Error(kConfig) when one belongs to another store
// and Error(kData) when one is damaged or two overlap. `identity` empty: any.
[[nodiscard]] std::vector<StoredShard> complete_shards(const std::string& directory,
                                                       const std::string& identity);
// The first row and counts of an open shard; throws Error(kData) when its blocks do not fit d_model and
// dtype.
[[nodiscard]] StoredShard shard_of(const BlockReader& reader, const std::string& file, int64_t d_model,
                                   Dtype dtype);

// The hash of the rows and labels of shards that cover [0, rows) in order, however they are cut: the hash
// over the hashes of all activation blocks and all label blocks of the store as if it were one shard. Blocks
// that shards cut are read back.
[[nodiscard]] Hash128 content_hash_of(const std::string& directory, const std::vector<StoredShard>& shards,
                                      int64_t rows, int64_t d_model, Dtype dtype);
// The hash of the token ids, positions and documents of the same rows: equal hashes mean that row i of two
// stores is the same token, whatever model, hook, width or element type its activation is of.
[[nodiscard]] Hash128 token_hash_of(const std::string& directory, const std::vector<StoredShard>& shards,
                                    int64_t rows, int64_t d_model, Dtype dtype);

}  // namespace orthant
