// A warp has one query row of one head. It goes through the keys 32 at a time, a key for each lane, and then
// through their values, a few columns for each lane, under an online softmax. The arithmetic of a row depends
// on its own keys only, so prefill, decode and any batch give the same bits.
#include "kernels/launch.cuh"
#include "kernels/row.cuh"
#include "kernels/scalar.h"
#include "kernels/transformer_cuda.h"
#include "runtime/core/error.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kWarps = 4;              // of a block
constexpr int kMostSequences = 32;     // of a launch: they travel as its argument
constexpr int64_t kValuePadding = 16;  // attention.h
constexpr int kStoreThreads = 128;

// Sequences with their rows numbered through.
struct SequenceBatch {
  AttentionSequence of[kMostSequences];
  int64_t rows_before[kMostSequences + 1];
  int count;
};

// One row of the batch.
struct BatchRow {
  AttentionSequence sequence;
  int64_t index;     // in the matrices
  int64_t position;  // in the sequence
};

__device__ BatchRow row_at(const SequenceBatch& batch, int64_t number) {
  int s = 0;
  while (batch.rows_before[s + 1] <= number) ++s;
  const int64_t row = number - batch.rows_before[s];
  return {batch.of[s], batch.of[s].first_row + row, batch.of[s].first_position + row};
}

struct CacheShape {
  int64_t heads;
  int64_t kv_heads;
  int64_t width;   // of a head
  int64_t padded;  // of a head's values
};

CacheShape cache_shape(const AttentionShape& shape) {
  const int64_t padded = (shape.head_dim + kValuePadding - 1) / kValuePadding * kValuePadding;
  return {shape.heads, shape.kv_heads, shape.head_dim, padded};
}

// The first element of the key at `position`; the next ones are kKeyPanel apart.
__device__ float* key_at(const AttentionSequence& sequence, const CacheShape& shape, int64_t kv_head,
                         int64_t position) {
  return sequence.keys + kv_head * sequence.capacity * shape.width +
         position / kKeyPanel * kKeyPanel * shape.width + position % kKeyPanel;
}

__device__ float* value_at(const AttentionSequence& sequence, const CacheShape& shape, int64_t kv_head,
                           int64_t position) {
  return sequence.values + (kv_head * sequence.capacity + position) * shape.padded;
}

__global__ void store_row(SequenceBatch batch, CacheShape shape, const float* keys, const float* values) {
  const BatchRow row = row_at(batch, blockIdx.x);
  const int64_t first = row.index * shape.kv_heads * shape.width;
  for (int64_t i = threadIdx.x; i < shape.kv_heads * shape.padded; i += blockDim.x) {
    const int64_t head = i / shape.padded, column = i % shape.padded;
    const int64_t from = first + head * shape.width + column;
    const bool is_padding = column >= shape.width;
    value_at(row.sequence, shape, head, row.position)[column] = is_padding ? 0.0f : values[from];
    if (!is_padding) key_at(row.sequence, shape, head, row.position)[column * kKeyPanel] = keys[from];
  }
}

__device__ float warp_max(float value) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    const float other = warp_shuffle_xor(value, mask);
    value = other > value ? other : value;
  }
  return value;
}

// Columns lane, lane + 32, ... of the weighted sum of values, and this lane's part of the sum of weights.
template <int kColumns>
struct SoftmaxSums {
  float top;
  float weights;
  float columns[kColumns];
};

// Adds keys [first, first + 32) up to `position`.
template <int kColumns>
__device__ void add_keys(const AttentionSequence& sequence, const CacheShape& shape, int64_t kv_head,
                         const float* query, int64_t first, int64_t position, SoftmaxSums<kColumns>& sums) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const bool is_visible = first + lane <= position;
  float score = -INFINITY;
  if (is_visible) {
    const float* key = key_at(sequence, shape, kv_head, first + lane);
    score = 0.0f;
    for (int64_t i = 0; i < shape.width; ++i) score = fmaf(query[i], key[i * kKeyPanel], score);
  }
  const float best = warp_max(score);
  const float top = best > sums.top ? best : sums.top;
  const float factor = exponential_of(sums.top - top);
  const float weight = is_visible ? exponential_of(score - top) : 0.0f;
  sums.top = top;
  sums.weights = sums.weights * factor + weight;
  for (int c = 0; c < kColumns; ++c) sums.columns[c] *= factor;
  const int64_t left = position + 1 - first;
  const int keys = left < kWarp ? static_cast<int>(left) : kWarp;
  for (int j = 0; j < keys; ++j) {
    const float shared_weight = warp_shuffle(weight, j);
    const float* value = value_at(sequence, shape, kv_head, first + j);
    for (int c = 0; c < kColumns; ++c) {
      const int64_t column = lane + c * kWarp;
      if (column < shape.padded) sums.columns[c] = fmaf(shared_weight, value[column], sums.columns[c]);
    }
  }
}

template <int kColumns>
__global__ void __launch_bounds__(kWarps* kWarp)
    attend(SequenceBatch batch, CacheShape shape, float scale, const float* queries, float* out) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t number = static_cast<int64_t>(blockIdx.x) * kWarps + warp;
  if (number >= batch.rows_before[batch.count] * shape.heads) return;
  const BatchRow row = row_at(batch, number / shape.heads);
  const int64_t head = number % shape.heads;
  const int64_t kv_head = head / (shape.heads / shape.kv_heads);
  const int64_t at = (row.index * shape.heads + head) * shape.width;
  float* query = dynamic_shared<float>() + warp * shape.width;
  for (int64_t i = lane; i < shape.width; i += kWarp) query[i] = queries[at + i] * scale;
  warp_barrier();
  SoftmaxSums<kColumns> sums{-INFINITY, 0.0f, {}};
  for (int64_t first = 0; first <= row.position; first += kWarp) {
    add_keys(row.sequence, shape, kv_head, query, first, row.position, sums);
  }
  const float total = warp_sum(sums.weights);
  for (int c = 0; c < kColumns; ++c) {
    const int64_t column = lane + c * kWarp;
    if (column < shape.width) out[at + column] = sums.columns[c] / total;
  }
}

// Calls `work` with as many sequences at a time as fit into a launch.
template <typename Work>
void in_batches(std::span<const AttentionSequence> sequences, Work work) {
  for (size_t first = 0; first < sequences.size(); first += kMostSequences) {
    SequenceBatch batch{};
    for (size_t i = first; i < sequences.size() && batch.count < kMostSequences; ++i) {
      batch.of[batch.count] = sequences[i];
      batch.rows_before[batch.count + 1] = batch.rows_before[batch.count] + sequences[i].rows;
      ++batch.count;
    }
    work(batch, batch.rows_before[batch.count]);
  }
}

auto kernel_for(int64_t padded) {
  if (padded <= 2 * kWarp) return attend<2>;
  if (padded <= 4 * kWarp) return attend<4>;
  return attend<8>;
}

}  // namespace

void store_keys_values(const AttentionShape& shape, std::span<const AttentionSequence> sequences,
                       Matrix<const float> key, Matrix<const float> value, Stream& stream) {
  in_batches(sequences, [&](const SequenceBatch& batch, int64_t rows) {
    launch(store_row, {.blocks = rows, .threads = kStoreThreads}, stream, batch, cache_shape(shape), key.data,
           value.data);
  });
}

void attention(const AttentionShape& shape, std::span<const AttentionSequence> sequences,
               Matrix<const float> query, Matrix<float> out, Stream& stream) {
  require(shape.head_dim <= kWidestHead, "heads have at most 256 elements on CUDA");
  const float scale = 1.0f / sqrtf(static_cast<float>(shape.head_dim));
  const CacheShape cache = cache_shape(shape);
  in_batches(sequences, [&](const SequenceBatch& batch, int64_t rows) {
    launch(kernel_for(cache.padded),
           {.blocks = (rows * shape.heads + kWarps - 1) / kWarps,
            .threads = kWarps * kWarp,
            .shared_bytes = kWarps * shape.head_dim * static_cast<int64_t>(sizeof(float))},
           stream, batch, cache, scale, query.data, out.data);
  });
}

}  // namespace orthant::kernels::cuda
