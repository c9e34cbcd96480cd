// Double-precision reference of kernels/transformer/row_sums.h.
#pragma once

#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::kernels::ref {

// `x` [rows, width] -> [rows]
[[nodiscard]] std::vector<double> squared_norms(Matrix<const float> x);

}  // namespace orthant::kernels::ref
