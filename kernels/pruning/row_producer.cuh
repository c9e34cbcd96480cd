// RowProducer in kernels whose blocks have one row, or parts of one.
#pragma once

#include "kernels/pruning/row_producer.h"
#include "kernels/transformer/rms_scale.cuh"

namespace orthant::kernels {

// What a kernel needs of a RowProducer; null where there is none.
struct ProducerOf {
  explicit ProducerOf(const RowProducer& producer)
      : norm_weight(producer.is_norm() ? producer.norm_weight.data : nullptr),
        epsilon(producer.norm_epsilon),
        up(producer.is_gated() ? producer.up.data : nullptr) {}
  __device__ bool makes_rows() const { return norm_weight != nullptr || up != nullptr; }
  const float* norm_weight;
  float epsilon;
  const float* up;
};

// One row of what a producer makes.
struct ProducedRow {
  const float *x, *norm_weight, *up;
  float scale;
  __device__ float at(int64_t c) const {
    if (norm_weight != nullptr) return x[c] * scale * norm_weight[c];
    return up != nullptr ? swiglu_of(x[c], up[c]) : x[c];
  }
};

// Row `number` of `x` [rows, width]. Collective for the block, which has row_threads(width) threads.
__device__ inline ProducedRow made_row(const ProducerOf& producer, const float* x, int64_t number,
                                       int64_t width) {
  const float* const row = x + number * width;
  return {row, producer.norm_weight, producer.up == nullptr ? nullptr : producer.up + number * width,
          producer.norm_weight == nullptr ? 1.0f : rms_scale<false>(row, producer.epsilon, width)};
}

}  // namespace orthant::kernels
