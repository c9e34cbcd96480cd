// Activations that a test holds in memory: training samples are its rows in order, again and again.
#pragma once

#include <cstring>
#include <utility>
#include <vector>

#include "runtime/job/activation_source.h"

namespace orthant::testing {

class MatrixSource : public ActivationSource {
 public:
  MatrixSource(std::vector<float> rows, int64_t d_model) : rows_(std::move(rows)), d_model_(d_model) {}
  [[nodiscard]] int64_t d_model() const override { return d_model_; }
  [[nodiscard]] int64_t rows(Split) const override { return static_cast<int64_t>(rows_.size()) / d_model_; }
  void read(Split split, int64_t first, Matrix<float> into, RowLabels*) override {
    for (int64_t r = 0; r < into.shape[0]; ++r) {
      const int64_t row = (first + r) % rows(split);
      std::memcpy(into.row(r), rows_.data() + row * d_model_, static_cast<size_t>(d_model_) * sizeof(float));
    }
  }
  [[nodiscard]] std::string identity() const override { return "matrix of a test"; }

 private:
  std::vector<float> rows_;
  int64_t d_model_;
};

}  // namespace orthant::testing
