// Cosines and sines of the rotary embedding for every position of a context, with the Llama 3 frequency
// scaling.
//
// Computed in f64, stored in f32. Immutable; thread-safe.
#pragma once

#include <vector>

#include "models/formats/model_file.h"
#include "runtime/device/tensor.h"

namespace orthant::models {

// Radians a position, [head_dim / 2].
[[nodiscard]] std::vector<double> rope_frequencies(const ModelConfig& config);

class RopeTable {
 public:
  RopeTable() = default;
  RopeTable(Memory& memory, const ModelConfig& config, int64_t positions);
  [[nodiscard]] int64_t positions() const { return cosines_.shape()[0]; }
  [[nodiscard]] Matrix<const float> cosines() const { return cosines_.view(); }  // [positions, head_dim / 2]
  [[nodiscard]] Matrix<const float> sines() const { return sines_.view(); }

 private:
  Tensor<float, 2> cosines_;
  Tensor<float, 2> sines_;
};

}  // namespace orthant::models
