// Causal grouped-query attention over a key-value cache, with an online softmax over blocks of keys.
//
// Keys are stored in panels of kKeyPanel positions, each [head_dim, kKeyPanel], so that scores of 16 keys are
// one chain of fused multiply-adds over head_dim; values are stored [position, head_dim padded to 16]. Blocks
// of keys begin at multiples of kKeyBlock positions, so a row's arithmetic depends on nothing but its own
// keys: prefill and decode, any batch and any number of threads give the same bits. Thread-safe for distinct
// outputs.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

inline constexpr int64_t kKeyPanel = 16;
inline constexpr int64_t kKeyBlock = 64;

struct AttentionShape {
  int64_t heads = 0;
  int64_t kv_heads = 0;  // divides heads
  int64_t head_dim = 0;
};

// New rows of one sequence, and where its keys and values of one layer are kept.
struct AttentionSequence {
  int64_t first_row = 0;  // rows [first_row, first_row + rows) of the batch
  int64_t rows = 0;
  int64_t first_position = 0;  // of the first new row: the number of keys stored before
  int64_t capacity = 0;        // positions there is room for; a multiple of kKeyPanel
  float* keys = nullptr;       // [kv_heads, capacity / kKeyPanel, head_dim, kKeyPanel]
  float* values = nullptr;     // [kv_heads, capacity, head_dim padded to 16]
};

// Floats that `keys` (and `values`) of a sequence of `capacity` positions take.
[[nodiscard]] int64_t cache_floats(const AttentionShape& shape, int64_t capacity);

// Stores `key` and `value` [batch rows, kv_heads * head_dim] of all new rows at their positions.
void store_keys_values(const AttentionShape& shape, std::span<const AttentionSequence> sequences,
                       Matrix<const float> key, Matrix<const float> value, Stream& stream);

// Floats of workspace that one thread needs.
[[nodiscard]] int64_t attention_workspace_floats(const AttentionShape& shape);

// out[r] = softmax(query[r] . keys / sqrt(head_dim)) . values over the keys at or before the row's position,
// which must all be stored. `query`, `out` [batch rows, heads * head_dim]; `out` may be `query`. `workspace`
// [threads * attention_workspace_floats]; as many threads are used as it has room for, at most OpenMP's; on
// CUDA it may be empty, and heads have at most 256 elements.
void attention(const AttentionShape& shape, std::span<const AttentionSequence> sequences,
               Matrix<const float> query, Matrix<float> out, Vector<float> workspace, Stream& stream);

}  // namespace orthant::kernels
