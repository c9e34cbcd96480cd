// Double-precision reference of kernels/sparse/skipping_gemv.h. Thread-safe.
#pragma once

#include <span>
#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::kernels::ref {

// [outputs]: sum over the kept inputs j of values * w[o, j]; `w` [outputs, inputs].
[[nodiscard]] std::vector<double> skipping_gemv(std::span<const int32_t> inputs,
                                                std::span<const float> values, Matrix<const float> w);

}  // namespace orthant::kernels::ref
