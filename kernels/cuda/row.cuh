// One row of floats and the block that works on it: each thread has four neighbouring columns at a time,
// those of the same thread in every pass, whatever the alignment. Sums are per thread first, then by lanes,
// then by warps: the same bits in every run.
#pragma once

#include "kernels/cuda/launch.cuh"

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

}  // namespace orthant::kernels
