// Sums over the threads before one, in the order of threads.
#pragma once

#include "kernels/cuda/row.cuh"

namespace orthant::kernels {

template <typename T>
struct Prefix {
  T before;  // the values of the threads before this one
  T total;   // of the block
};

// Collective for the block.
template <typename T>
__device__ Prefix<T> block_prefix(T value) {
  WarpValues<T>& sums = block_shared<WarpValues<T>>();
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  T up_to = value;
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const T other = warp_shuffle(up_to, (lane - distance) & (kWarp - 1));
    if (lane >= distance) up_to += other;
  }
  // What an earlier sum left here has been read by all.
  __syncthreads();
  if (lane == kWarp - 1) sums.of[warp] = up_to;
  __syncthreads();
  Prefix<T> prefix{up_to - value, T(0)};
  for (int i = 0; i < static_cast<int>(blockDim.x) / kWarp; ++i) {
    if (i < warp) prefix.before += sums.of[i];
    prefix.total += sums.of[i];
  }
  return prefix;
}

}  // namespace orthant::kernels
