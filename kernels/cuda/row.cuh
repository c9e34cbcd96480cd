// One row of floats and the block that works on it: each thread has four neighbouring columns at a time,
// those of the same thread in every pass, whatever the alignment. Sums of block_sum() are per thread first,
// then by lanes, then by warps: the same bits in every run; the others are formed in the order of the CPU.
#pragma once

#include "kernels/cuda/launch.cuh"
#include "kernels/scalar.h"

namespace orthant::kernels {

// Whether rows of `width` at these addresses may be read four columns at a time.
template <typename... Pointers>
bool is_whole(int64_t width, Pointers... rows) {
  return width % 4 == 0 && ((reinterpret_cast<uintptr_t>(rows) % 16 == 0) && ...);
}

// Threads of a block for rows of `width`.
inline int row_threads(int64_t width) {
  constexpr int64_t kMost = 256;
  const int64_t threads = (width + 4 * kWarp - 1) / (4 * kWarp) * kWarp;
  return static_cast<int>(threads < kWarp ? kWarp : threads > kMost ? kMost : threads);
}

__device__ inline int64_t first_column() {
  return static_cast<int64_t>(threadIdx.x) * 4;
}
__device__ inline int64_t next_column(int64_t column) {
  return column + static_cast<int64_t>(blockDim.x) * 4;
}

// Columns [column, column + 4) of a row; 0 for those beyond its width.
template <bool kWhole>
__device__ Four load_columns(const float* row, int64_t column, int64_t width) {
  if constexpr (kWhole) {
    return load_four(row + column);
  } else {
    Four four{};
    for (int i = 0; i < 4; ++i) {
      if (column + i < width) four.of[i] = row[column + i];
    }
    return four;
  }
}

// Columns [column, column + 4) of a row in bf16; 0 for those beyond its width.
template <bool kWhole>
__device__ Four load_columns(const uint16_t* row, int64_t column, int64_t width) {
  if constexpr (kWhole) {
    const FourHalves halves = load_four(row + column);
    return {{widened(halves.of[0]), widened(halves.of[1]), widened(halves.of[2]), widened(halves.of[3])}};
  } else {
    Four four{};
    for (int i = 0; i < 4; ++i) {
      if (column + i < width) four.of[i] = widened(row[column + i]);
    }
    return four;
  }
}

template <bool kWhole>
__device__ void store_columns(float* row, int64_t column, int64_t width, Four four) {
  if constexpr (kWhole) {
    store_four(row + column, four);
  } else {
    for (int i = 0; i < 4; ++i) {
      if (column + i < width) row[column + i] = four.of[i];
    }
  }
}

__device__ inline Four fused(float factor, Four x, Four sum) {
  for (int i = 0; i < 4; ++i) sum.of[i] = fmaf(factor, x.of[i], sum.of[i]);
  return sum;
}

// sum + <a, b>
__device__ inline float fused_dot(Four a, Four b, float sum) {
  for (int i = 0; i < 4; ++i) sum = fmaf(a.of[i], b.of[i], sum);
  return sum;
}

// The sum over the lanes of a warp, on each of them.
template <typename T>
__device__ T warp_sum(T value) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) value += warp_shuffle_xor(value, mask);
  return value;
}

template <typename T>
struct WarpValues {
  T of[kWarp];
};

// The sum over the threads of a block, on each of them. Collective for the block.
template <typename T>
__device__ T block_sum(T value) {
  WarpValues<T>& sums = block_shared<WarpValues<T>>();
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  value = warp_sum(value);
  // What an earlier sum left here has been read by all.
  __syncthreads();
  if (lane == 0) sums.of[warp] = value;
  __syncthreads();
  return warp_sum(lane < static_cast<int>(blockDim.x) / kWarp ? sums.of[lane] : T(0));
}

// sum + of(0) + of(1) + ... + of(count - 1) in that order, on every lane of the warp that calls it.
template <typename Of>
__device__ double warp_sum_in_order(double sum, int64_t count, Of of) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int64_t first = 0; first < count; first += kWarp) {
    const double own = first + lane < count ? of(first + lane) : 0.0;
    const int64_t left = count - first;
    for (int i = 0; i < kWarp && i < left; ++i) sum += warp_shuffle(own, i);
  }
  return sum;
}

// Chains of fused multiply-adds over the columns of two rows, in `threads` neighbouring lanes: 4 * threads
// chains, chain c has the columns c, c + 4 * threads, ...
template <bool kWhole>
__device__ Four chained_products(const float* a, const float* b, int64_t width, int threads) {
  Four chains{};
  for (int64_t c = static_cast<int64_t>(threadIdx.x) % threads * 4; c < width; c += threads * 4) {
    const Four x = load_columns<kWhole>(a, c, width), y = load_columns<kWhole>(b, c, width);
    for (int i = 0; i < 4; ++i) chains.of[i] = fmaf(x.of[i], y.of[i], chains.of[i]);
  }
  return chains;
}

__device__ inline Four across(Four own, int mask) {
  for (int i = 0; i < 4; ++i) own.of[i] += warp_shuffle_xor(own.of[i], mask);
  return own;
}

// Sixteen chains, four a lane, folded by halves as in kernels/isa/lanes.h, on each of the lanes.
template <typename T>
__device__ T folded(Four own) {
  T sums[4];
  for (int i = 0; i < 4; ++i) sums[i] = static_cast<T>(own.of[i]);
  for (int mask = 2; mask > 0; mask /= 2) {
    for (int i = 0; i < 4; ++i) sums[i] += warp_shuffle_xor(sums[i], mask);
  }
  return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

// <a, b> with the bits of GatherOps::dots (kernels/isa/gather.h), of T double with those of its error_row, by
// four neighbouring lanes, on each of them. A warp calls it together.
inline constexpr int kQuad = 4;
template <bool kWhole, typename T = float>
__device__ T quad_dot(const float* a, const float* b, int64_t width) {
  return folded<T>(chained_products<kWhole>(a, b, width, kQuad));
}

// <a, b> with the bits of VectorOps::dot (kernels/isa/vector.h), by half a warp, on each of its lanes. A warp
// calls it together.
template <bool kWhole>
__device__ float half_warp_dot(const float* a, const float* b, int64_t width) {
  const Four groups = chained_products<kWhole>(a, b, width, kWarp / 2);
  return folded<float>(across(across(groups, kQuad), 2 * kQuad));
}

struct BlockDot {
  float value;
};

// The same on every thread of a block, of rows that it has just written. Collective for the block.
template <bool kWhole>
__device__ float block_dot(const float* a, const float* b, int64_t width) {
  BlockDot& dot = block_shared<BlockDot>();
  // The rows are written, and an earlier product has been read by all.
  __syncthreads();
  if (threadIdx.x < kWarp) {
    const float value = half_warp_dot<kWhole>(a, b, width);
    if (threadIdx.x == 0) dot.value = value;
  }
  __syncthreads();
  return dot.value;
}

}  // namespace orthant::kernels
