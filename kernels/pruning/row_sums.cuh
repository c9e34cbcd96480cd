// Sums over a row of floats by a block, in f64.
#pragma once

#include "kernels/cuda/row.cuh"

namespace orthant::kernels {

struct BlockSums {
  double values, squares;
};

// On each thread. Collective for the block.
__device__ inline BlockSums block_sums(const float* row, int64_t width) {
  double values = 0.0, squares = 0.0;
  for (int64_t c = threadIdx.x; c < width; c += blockDim.x) {
    const double value = row[c];
    values += value;
    squares += value * value;
  }
  const double all = block_sum(values);
  return {all, block_sum(squares)};
}

}  // namespace orthant::kernels
