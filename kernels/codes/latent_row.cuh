// One latent and the block that works on it: its gradient columns, the projection of the decoder's gradient,
// and Adam. What latent_row.h is on the CPU.
#pragma once

#include "kernels/codes/latent_step.h"
#include "kernels/cuda/row.cuh"
#include "kernels/scalar.h"

namespace orthant::kernels {

inline constexpr int kMostPaths = 2;

struct PathPointers {
  const int64_t* offsets;
  const int32_t* rows;
  const int64_t* entries;
  const float* values;
  const float* value_gradients;
  const float* output_gradient;
};

// LatentStepArgs with pointers to the device; what all latents share.
struct LatentWork {
  PathPointers paths[kMostPaths];
  int path_count;
  const float* input;
  const float* penalty;  // null: none
  int64_t width;
  DecoderNorm norm;
};

// sum + weights[entry] * matrix[row of entry] over the entries of `latent` in one path, ascending.
template <bool kWhole>
__device__ Four gathered_columns(const PathPointers& path, int64_t latent, const float* weights,
                                 const float* matrix, int64_t column, int64_t width, Four sum) {
  constexpr int kGroup = 4;  // rows in flight
  const int64_t end = path.offsets[latent + 1];
  int64_t at = path.offsets[latent];
  for (; at + kGroup <= end; at += kGroup) {
    Four rows[kGroup];
    for (int i = 0; i < kGroup; ++i)
      rows[i] = load_columns<kWhole>(matrix + path.rows[at + i] * width, column, width);
    for (int i = 0; i < kGroup; ++i) sum = fused(weights[path.entries[at + i]], rows[i], sum);
  }
  for (; at < end; ++at) {
    const Four row = load_columns<kWhole>(matrix + path.rows[at] * width, column, width);
    sum = fused(weights[path.entries[at]], row, sum);
  }
  return sum;
}

template <bool kWhole>
__device__ Four encoder_gradient(const LatentWork& work, int64_t latent, int64_t column) {
  Four sum{};
  for (int i = 0; i < work.path_count; ++i) {
    const PathPointers& path = work.paths[i];
    sum = gathered_columns<kWhole>(path, latent, path.value_gradients, work.input, column, work.width, sum);
  }
  return sum;
}

template <bool kWhole>
__device__ Four decoder_gradient(const LatentWork& work, int64_t latent, int64_t column) {
  Four sum{};
  for (int i = 0; i < work.path_count; ++i) {
    const PathPointers& path = work.paths[i];
    sum = gathered_columns<kWhole>(path, latent, path.values, path.output_gradient, column, work.width, sum);
  }
  return sum;
}

// The sum of the value gradients of `latent` in f64, on every lane of the one warp that calls it.
__device__ inline float warp_bias_gradient(const LatentWork& work, int64_t latent) {
  double sum = 0.0;
  for (int i = 0; i < work.path_count; ++i) {
    const PathPointers& path = work.paths[i];
    const int64_t first = path.offsets[latent];
    sum = warp_sum_in_order(sum, path.offsets[latent + 1] - first, [&](int64_t at) {
      return static_cast<double>(path.value_gradients[path.entries[first + at]]);
    });
  }
  return static_cast<float>(sum);
}

// The factor that makes a decoder row a unit vector before the step; 0 where it stays free.
template <bool kWhole>
__device__ double inverse_norm_before_step(DecoderNorm norm, const float* row, int64_t width) {
  if (norm == DecoderNorm::kFree) return 0.0;
  const double length = sqrt(static_cast<double>(block_dot<kWhole>(row, row, width)));
  if (norm == DecoderNorm::kUnitBeforeStep) return 1.0 / (length > 1e-30 ? length : 1e-30);
  return 1.0 / (length + 1e-6);
}

// Adds the penalty to the decoder gradient of `latent` and removes the part along `row`.
template <bool kWhole>
__device__ void finish_decoder_gradient(const LatentWork& work, int64_t latent, const float* row,
                                        double inverse_norm, float* gradient) {
  if (work.penalty != nullptr) {
    const float* penalty = work.penalty + latent * work.width;
    for (int64_t c = first_column(); c < work.width; c = next_column(c)) {
      Four sum = load_columns<kWhole>(gradient, c, work.width);
      const Four more = load_columns<kWhole>(penalty, c, work.width);
      for (int i = 0; i < 4; ++i) sum.of[i] += more.of[i];
      store_columns<kWhole>(gradient, c, work.width, sum);
    }
  }
  if (work.norm == DecoderNorm::kFree) return;
  const double along = static_cast<double>(block_dot<kWhole>(gradient, row, work.width)) * inverse_norm;
  const float factor = static_cast<float>(-along * inverse_norm);
  for (int64_t c = first_column(); c < work.width; c = next_column(c)) {
    const Four rest = fused(factor, load_columns<kWhole>(row, c, work.width),
                            load_columns<kWhole>(gradient, c, work.width));
    store_columns<kWhole>(gradient, c, work.width, rest);
  }
}

// One row and its moments. V: float, or uint16_t for bf16, which is rounded by the draws of `key`.
template <typename V>
struct DeviceRow {
  float* parameter;
  float* m;
  V* v;
  RoundingKey key;
};

template <bool kWhole>
__device__ void store_second(const DeviceRow<float>& row, int64_t column, int64_t width, Four second) {
  store_columns<kWhole>(row.v, column, width, second);
}

template <bool kWhole>
__device__ void store_second(const DeviceRow<uint16_t>& row, int64_t column, int64_t width, Four second) {
  FourHalves halves;
  for (int i = 0; i < 4; ++i) {
    halves.of[i] = bf16_at_random(second.of[i], rounding_draw(row.key, column + i));
  }
  if constexpr (kWhole) {
    store_four(row.v + column, halves);
  } else {
    for (int i = 0; i < 4; ++i) {
      if (column + i < width) row.v[column + i] = halves.of[i];
    }
  }
}

template <bool kWhole, typename V>
__device__ void adam_columns(const AdamFactors& factors, Four gradient, int64_t column, int64_t width,
                             float row_scale, const DeviceRow<V>& row) {
  Four parameter = load_columns<kWhole>(row.parameter, column, width);
  Four first = load_columns<kWhole>(row.m, column, width),
       second = load_columns<kWhole>(row.v, column, width);
  for (int i = 0; i < 4; ++i) {
    parameter.of[i] = row_scale * parameter.of[i];
    adam_element(factors, gradient.of[i], parameter.of[i], first.of[i], second.of[i]);
  }
  store_columns<kWhole>(row.parameter, column, width, parameter);
  store_columns<kWhole>(row.m, column, width, first);
  store_second<kWhole>(row, column, width, second);
}

template <bool kWhole>
__device__ void scale_row(float factor, float* row, int64_t width) {
  for (int64_t c = first_column(); c < width; c = next_column(c)) {
    Four columns = load_columns<kWhole>(row, c, width);
    for (int i = 0; i < 4; ++i) columns.of[i] = factor * columns.of[i];
    store_columns<kWhole>(row, c, width, columns);
  }
}

// Adam on a decoder row with its finished gradient, and unit norm before or after it.
template <bool kWhole, typename V>
__device__ void step_decoder_row(DecoderNorm norm, const AdamFactors& factors, double inverse_norm,
                                 const float* gradient, int64_t width, const DeviceRow<V>& row) {
  const float before = norm == DecoderNorm::kUnitBeforeStep ? static_cast<float>(inverse_norm) : 1.0f;
  for (int64_t c = first_column(); c < width; c = next_column(c)) {
    adam_columns<kWhole>(factors, load_columns<kWhole>(gradient, c, width), c, width, before, row);
  }
  if (norm != DecoderNorm::kUnitAfterStep) return;
  constexpr double kOffset = 1.1920928955078125e-07;  // the spacing of f32 at 1
  const double squares = block_dot<kWhole>(row.parameter, row.parameter, width);
  const double length = sqrt(squares) + kOffset;
  scale_row<kWhole>(static_cast<float>(1.0 / length), row.parameter, width);
}

}  // namespace orthant::kernels
