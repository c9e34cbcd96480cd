// Matrices of reproducible normal numbers for kernel and model tests.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/core/rng.h"
#include "runtime/device/tensor.h"

namespace orthant::testing {

// Standard normal values times `scale`; another `seed`, other values.
class NormalMatrix {
 public:
  NormalMatrix(int64_t rows, int64_t columns, uint32_t seed, float scale = 1.0f)
      : rows_(rows), columns_(columns), values_(static_cast<size_t>(rows * columns)) {
    for (size_t i = 0; i < values_.size(); ++i)
      values_[i] = scale * random_normal(7, Purpose::kTest, seed, i);
  }
  [[nodiscard]] Matrix<float> view() { return {values_.data(), {rows_, columns_}}; }
  [[nodiscard]] std::vector<float>& values() { return values_; }

 private:
  int64_t rows_;
  int64_t columns_;
  std::vector<float> values_;
};

}  // namespace orthant::testing
