// What RMSNorm multiplies a row with before its weight. A thread's squares are summed in f32, the threads'
// sums in f64: the bits depend on the number of threads, which is row_threads(width).
#pragma once

#include "kernels/cuda/row.cuh"

namespace orthant::kernels {

// 1 / sqrt(mean of row[c]^2 + epsilon), on each thread. Collective for the block.
template <bool kWhole>
__device__ float rms_scale(const float* row, float epsilon, int64_t width) {
  float squares = 0.0f;
  for (int64_t c = first_column(); c < width; c = next_column(c)) {
    const Four columns = load_columns<kWhole>(row, c, width);
    squares = fused_dot(columns, columns, squares);
  }
  const double mean = block_sum(static_cast<double>(squares)) / static_cast<double>(width);
  return static_cast<float>(1.0 / sqrt(mean + static_cast<double>(epsilon)));
}

}  // namespace orthant::kernels
