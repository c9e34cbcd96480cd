// Double-precision reference of kernels/transformer/rms_norm.h.
#pragma once

#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::kernels::ref {

// [rows * d_model]
[[nodiscard]] std::vector<double> rms_norm(Matrix<const float> x, Vector<const float> weight, double epsilon);

}  // namespace orthant::kernels::ref
