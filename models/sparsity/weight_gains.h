// What criteria and transforms take from a projection's weights [outputs, inputs], once per matrix. Sums are
// f64. Thread-safe.
#pragma once

#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::models {

// The Amber gain of each input (arXiv 2508.02128 as the reference of activation_sparsity 3 has it): the norms
// of the columns of the weights standardised by the mean and deviation of those inside their exact 0.5 %
// and 99.5 % quantiles, divided by the least of them.
[[nodiscard]] std::vector<float> amber_gains(Matrix<const float> weights);
// The unbiased variance of each column; 0 of a single output.
[[nodiscard]] std::vector<float> weight_variances(Matrix<const float> weights);
// The largest |weight| of each column, at least 1e-8 (PCS).
[[nodiscard]] std::vector<float> weight_peaks(Matrix<const float> weights);
// sums[o] = sum of weights[o, j] * factors[j]; `factors` empty: 1.
[[nodiscard]] std::vector<float> weighted_row_sums(Matrix<const float> weights,
                                                   std::span<const float> factors = {});

}  // namespace orthant::models
