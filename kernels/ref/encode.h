// References of the selections: activations in double precision, and selections by full sorting of given
// activations. Thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::kernels::ref {

struct Entry {
  int64_t latent;
  double value;
  bool operator==(const Entry&) const = default;
};

// relu(x * w^T + bias) [rows, latents]; an empty bias is zero.
[[nodiscard]] std::vector<double> activations(Matrix<const float> x, Matrix<const float> w,
                                              Vector<const float> bias);

// The min(k, latents) entries of `row` that rank highest by value * scale (empty: 1), ties to the lowest
// latent, in ascending order of latents.
[[nodiscard]] std::vector<Entry> topk(const std::vector<double>& row, const std::vector<double>& scale,
                                      int64_t k);

// Entries with value * scale > threshold and value > thresholds[i] (empty: no condition).
[[nodiscard]] std::vector<Entry> above(const std::vector<double>& row, const std::vector<double>& scale,
                                       double threshold, const std::vector<double>& thresholds);

}  // namespace orthant::kernels::ref
