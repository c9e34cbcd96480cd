// Double-precision reference of the dense product. Thread-safe.
#pragma once

#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::kernels::ref {

// [rows of x * rows of w]: sum over k of x[r, k] * w[c, k], row-major.
[[nodiscard]] std::vector<double> matmul_nt(Matrix<const float> x, Matrix<const float> w);

}  // namespace orthant::kernels::ref
