#include "kernels/transformer/attention.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/transformer/transformer_cuda.h"
#include "kernels/transformer/transformer_rows.h"

namespace orthant::kernels {
namespace {

// Rows of one tile: (position, head of the group) pairs that share keys and values.
constexpr int64_t kTileRows = 66;

int64_t padded_dim(const AttentionShape& shape) {
  return (shape.head_dim + 15) / 16 * 16;
}
int64_t group_of(const AttentionShape& shape) {
  return shape.heads / shape.kv_heads;
}
int64_t positions_per_tile(const AttentionShape& shape) {
  return std::max<int64_t>(1, kTileRows / group_of(shape));
}

// A thread's scratch for one tile, cut from the workspace.
struct TileScratch {
  float* query;     // [tile rows, head_dim], scaled
  float* scores;    // [tile rows, kKeyBlock]
  float* weighted;  // [tile rows, padded_dim]
  float* sums;      // [tile rows, 16]
  float* tops;      // [tile rows]
};

TileScratch cut_scratch(const AttentionShape& shape, float* begin) {
  const int64_t rows = positions_per_tile(shape) * group_of(shape);
  TileScratch scratch{};
  scratch.query = begin;
  scratch.scores = scratch.query + rows * shape.head_dim;
  scratch.weighted = scratch.scores + rows * kKeyBlock;
  scratch.sums = scratch.weighted + rows * padded_dim(shape);
  scratch.tops = scratch.sums + rows * 16;
  return scratch;
}

// Queries of one key-value head at positions [first, first + count) of a sequence, counted from its first new
// row.
struct Tile {
  const AttentionSequence* sequence;
  int64_t kv_head;
  int64_t first;
  int64_t count;
};

void begin_tile(const AttentionShape& shape, const Tile& tile, Matrix<const float> query,
                TileScratch& scratch) {
  const int64_t group = group_of(shape);
  const int64_t rows = tile.count * group;
  const float scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
  for (int64_t row = 0; row < rows; ++row) {
    const float* from = query.row(tile.sequence->first_row + tile.first + row / group) +
                        (tile.kv_head * group + row % group) * shape.head_dim;
    for (int64_t i = 0; i < shape.head_dim; ++i) scratch.query[row * shape.head_dim + i] = from[i] * scale;
  }
  std::fill_n(scratch.weighted, rows * padded_dim(shape), 0.0f);
  std::fill_n(scratch.sums, rows * 16, 0.0f);
  std::fill_n(scratch.tops, rows, -std::numeric_limits<float>::infinity());
}

// Adds keys [first_key, first_key + keys) to every row of the tile; keys after a row's position weigh
// nothing.
void add_key_block(const AttentionShape& shape, const Tile& tile, int64_t first_key, int64_t keys,
                   const TileScratch& scratch) {
  const TransformerRows& ops = transformer_rows();
  const AttentionSequence& sequence = *tile.sequence;
  const int64_t width = shape.head_dim;
  const int64_t padded = padded_dim(shape);
  const int64_t group = group_of(shape);
  const int64_t rows = tile.count * group;
  const float* panels = sequence.keys + tile.kv_head * sequence.capacity * width;
  std::fill_n(scratch.scores, rows * kKeyBlock, 0.0f);
  for (int64_t key = 0; key < keys; key += kKeyPanel) {
    ops.panel_product({.a = scratch.query,
                       .a_stride = width,
                       .b = panels + (first_key + key) * width,
                       .b_stride = kKeyPanel,
                       .out = scratch.scores + key,
                       .out_stride = kKeyBlock,
                       .rows = rows,
                       .depth = width});
  }
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t position = sequence.first_position + tile.first + row / group;
    const int64_t visible = std::clamp<int64_t>(position + 1 - first_key, 0, kKeyBlock);
    ops.softmax_block(scratch.scores + row * kKeyBlock, visible,
                      {scratch.tops + row, scratch.sums + row * 16, scratch.weighted + row * padded, padded});
  }
  const float* values = sequence.values + (tile.kv_head * sequence.capacity + first_key) * padded;
  for (int64_t column = 0; column < padded; column += 16) {
    ops.panel_product({.a = scratch.scores,
                       .a_stride = kKeyBlock,
                       .b = values + column,
                       .b_stride = padded,
                       .out = scratch.weighted + column,
                       .out_stride = padded,
                       .rows = rows,
                       .depth = keys});
  }
}

void finish_tile(const AttentionShape& shape, const Tile& tile, const TileScratch& scratch,
                 Matrix<float> out) {
  const int64_t group = group_of(shape);
  const int64_t padded = padded_dim(shape);
  for (int64_t row = 0; row < tile.count * group; ++row) {
    float* into = out.row(tile.sequence->first_row + tile.first + row / group) +
                  (tile.kv_head * group + row % group) * shape.head_dim;
    transformer_rows().softmax_finish(
        {scratch.tops + row, scratch.sums + row * 16, scratch.weighted + row * padded, padded}, into,
        shape.head_dim);
  }
}

void attend_tile(const AttentionShape& shape, const Tile& tile, Matrix<const float> query, Matrix<float> out,
                 TileScratch scratch) {
  begin_tile(shape, tile, query, scratch);
  const int64_t end = tile.sequence->first_position + tile.first + tile.count;
  for (int64_t key = 0; key < end; key += kKeyBlock) {
    add_key_block(shape, tile, key, std::min(kKeyBlock, end - key), scratch);
  }
  finish_tile(shape, tile, scratch, out);
}

// Tiles of a sequence for one key-value head.
int64_t tiles_of(const AttentionShape& shape, const AttentionSequence& sequence) {
  const int64_t positions = positions_per_tile(shape);
  return (sequence.rows + positions - 1) / positions;
}

// Tile number `index` of the batch, the longest first: they are dealt to threads as these become free.
Tile tile_at(const AttentionShape& shape, std::span<const AttentionSequence> sequences, int64_t index) {
  for (const AttentionSequence& sequence : sequences) {
    const int64_t tiles = tiles_of(shape, sequence) * shape.kv_heads;
    if (index >= tiles) {
      index -= tiles;
      continue;
    }
    const int64_t positions = positions_per_tile(shape);
    const int64_t first = (tiles_of(shape, sequence) - 1 - index / shape.kv_heads) * positions;
    return {&sequence, index % shape.kv_heads, first, std::min(positions, sequence.rows - first)};
  }
  require(false, "the tile number lies inside the batch");
  return {};
}

}  // namespace

int64_t cache_floats(const AttentionShape& shape, int64_t capacity) {
  return shape.kv_heads * capacity * padded_dim(shape);
}

int64_t attention_workspace_floats(const AttentionShape& shape) {
  const int64_t rows = positions_per_tile(shape) * group_of(shape);
  return rows * (shape.head_dim + kKeyBlock + padded_dim(shape) + 17);
}

void store_keys_values(const AttentionShape& shape, std::span<const AttentionSequence> sequences,
                       Matrix<const float> key, Matrix<const float> value, Stream& stream) {
  const int64_t width = shape.head_dim;
  const int64_t padded = padded_dim(shape);
  for (const AttentionSequence& sequence : sequences) {
    require(sequence.first_position + sequence.rows <= sequence.capacity,
            "the cache has room for the sequence");
  }
  if (key.device.kind == DeviceKind::kCuda) {
    return cuda::store_keys_values(shape, sequences, key, value, stream);
  }
  for (const AttentionSequence& sequence : sequences) {
#pragma omp parallel for schedule(static) if (sequence.rows > 64)
    for (int64_t row = 0; row < sequence.rows; ++row) {
      const int64_t position = sequence.first_position + row;
      for (int64_t head = 0; head < shape.kv_heads; ++head) {
        const float* from_key = key.row(sequence.first_row + row) + head * width;
        const float* from_value = value.row(sequence.first_row + row) + head * width;
        float* panel =
            sequence.keys + head * sequence.capacity * width + position / kKeyPanel * kKeyPanel * width;
        for (int64_t i = 0; i < width; ++i) panel[i * kKeyPanel + position % kKeyPanel] = from_key[i];
        float* into = sequence.values + (head * sequence.capacity + position) * padded;
        std::copy_n(from_value, width, into);
        std::fill(into + width, into + padded, 0.0f);
      }
    }
  }
}

void attention(const AttentionShape& shape, std::span<const AttentionSequence> sequences,
               Matrix<const float> query, Matrix<float> out, Vector<float> workspace, Stream& stream) {
  require(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0, "key-value heads divide the heads");
  require(query.shape == out.shape && query.shape[1] == shape.heads * shape.head_dim,
          "attention shapes agree");
  if (query.device.kind == DeviceKind::kCuda) return cuda::attention(shape, sequences, query, out, stream);
  const int64_t scratch = attention_workspace_floats(shape);
  const int64_t threads = std::min<int64_t>(workspace.shape[0] / scratch, omp_get_max_threads());
  require(threads >= 1, "the attention workspace has room for a thread");
  int64_t tiles = 0;
  for (const AttentionSequence& sequence : sequences) tiles += tiles_of(shape, sequence) * shape.kv_heads;
#pragma omp parallel for schedule(dynamic) num_threads(static_cast <int>(threads)) if (tiles > 1)
  for (int64_t index = 0; index < tiles; ++index) {
    attend_tile(shape, tile_at(shape, sequences, index), query, out,
                cut_scratch(shape, workspace.data + omp_get_thread_num() * scratch));
  }
}

}  // namespace orthant::kernels
