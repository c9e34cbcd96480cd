// A warp has one query row of one head. It goes through the keys 32 at a time, a key for each lane, and then
// through their values, a few columns for each lane, under an online softmax. The arithmetic of a row depends
// on its own keys only, so prefill, decode and any batch give the same bits.
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/row.cuh"
#include "kernels/scalar.h"
#include "kernels/transformer/transformer_cuda.h"
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
  int sequence;      // in the batch
  int64_t index;     // in the matrices
  int64_t position;  // in the sequence
};

__device__ BatchRow row_at(const SequenceBatch& batch, int64_t number) {
  int s = 0;
  while (batch.rows_before[s + 1] <= number) ++s;
  const int64_t row = number - batch.rows_before[s];
  return {s, batch.of[s].first_row + row, batch.of[s].first_position + row};
}

struct CacheShape {
  int heads;
  int kv_heads;
  int width;   // of a head
  int padded;  // of a head's values
};

CacheShape cache_shape(const AttentionShape& shape) {
  const int64_t padded = (shape.head_dim + kValuePadding - 1) / kValuePadding * kValuePadding;
  return {static_cast<int>(shape.heads), static_cast<int>(shape.kv_heads), static_cast<int>(shape.head_dim),
          static_cast<int>(padded)};
}

// Keys and values of one head of a sequence.
struct HeadCache {
  float* keys;
  float* values;
  int width;
  int padded;

  // The first element of a key; the next ones are kKeyPanel apart.
  __device__ float* key(int64_t position) const {
    return keys + position / kKeyPanel * kKeyPanel * width + position % kKeyPanel;
  }
  __device__ float* value(int64_t position) const { return values + position * padded; }
};

__device__ HeadCache head_cache(const AttentionSequence& sequence, const CacheShape& shape, int kv_head) {
  return {sequence.keys + kv_head * sequence.capacity * shape.width,
          sequence.values + kv_head * sequence.capacity * shape.padded, shape.width, shape.padded};
}

__global__ void store_row(SequenceBatch batch, CacheShape shape, const float* keys, const float* values) {
  const BatchRow row = row_at(batch, blockIdx.x);
  const int64_t first = row.index * shape.kv_heads * shape.width;
  for (int i = static_cast<int>(threadIdx.x); i < shape.kv_heads * shape.padded; i += kStoreThreads) {
    const int head = i / shape.padded, column = i % shape.padded;
    const HeadCache cache = head_cache(batch.of[row.sequence], shape, head);
    const int64_t from = first + head * shape.width + column;
    const bool is_padding = column >= shape.width;
    cache.value(row.position)[column] = is_padding ? 0.0f : values[from];
    if (!is_padding) cache.key(row.position)[column * kKeyPanel] = keys[from];
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
__device__ void add_keys(const HeadCache& cache, const float* query, int64_t first, int64_t position,
                         SoftmaxSums<kColumns>& sums) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const bool is_visible = first + lane <= position;
  float score = -INFINITY;
  if (is_visible) {
    const float* key = cache.key(first + lane);
    score = 0.0f;
    for (int i = 0; i < cache.width; ++i) score = fmaf(query[i], key[i * kKeyPanel], score);
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
  const float* value = cache.value(first);
  for (int j = 0; j < keys; ++j, value += cache.padded) {
    const float shared_weight = warp_shuffle(weight, j);
    for (int c = 0; c < kColumns; ++c) {
      const int column = lane + c * kWarp;
      if (column < cache.padded) sums.columns[c] = fmaf(shared_weight, value[column], sums.columns[c]);
    }
  }
}

// Blocks for the heads of a row.
ORTHANT_HOST_DEVICE unsigned blocks_of_heads(int heads) {
  return static_cast<unsigned>((heads + kWarps - 1) / kWarps);
}

template <int kColumns>
__global__ void __launch_bounds__(kWarps* kWarp)
    attend(SequenceBatch batch, CacheShape shape, float scale, const float* queries, float* out) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const unsigned head_blocks = blocks_of_heads(shape.heads);
  const int head = static_cast<int>(blockIdx.x % head_blocks) * kWarps + warp;
  if (head >= shape.heads) return;
  const BatchRow row = row_at(batch, blockIdx.x / head_blocks);
  const HeadCache cache = head_cache(batch.of[row.sequence], shape, head / (shape.heads / shape.kv_heads));
  const int64_t at = (row.index * shape.heads + head) * shape.width;
  float* query = dynamic_shared<float>() + warp * shape.width;
  for (int i = lane; i < shape.width; i += kWarp) query[i] = queries[at + i] * scale;
  warp_barrier();
  SoftmaxSums<kColumns> sums{-INFINITY, 0.0f, {}};
  for (int64_t first = 0; first <= row.position; first += kWarp) {
    add_keys(cache, query, first, row.position, sums);
  }
  const float inverse = 1.0f / warp_sum(sums.weights);
  for (int c = 0; c < kColumns; ++c) {
    const int column = lane + c * kWarp;
    if (column < shape.width) out[at + column] = sums.columns[c] * inverse;
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
           {.blocks = rows * blocks_of_heads(cache.heads),
            .threads = kWarps * kWarp,
            .shared_bytes = kWarps * shape.head_dim * static_cast<int64_t>(sizeof(float))},
           stream, batch, cache, scale, query.data, out.data);
  });
}

}  // namespace orthant::kernels::cuda
