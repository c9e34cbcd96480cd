// Double-precision reference of the squared norms of kernels/dense/row_moments.h.
#pragma once

#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::kernels::ref {

// `x` [rows, width] -> [rows]
[[nodiscard]] std::vector<double> squared_norms(Matrix<const float> x);

}  // namespace orthant::kernels::ref
