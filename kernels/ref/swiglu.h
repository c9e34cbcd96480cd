// Double-precision reference of kernels/transformer/swiglu.h.
#pragma once

#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::kernels::ref {

[[nodiscard]] std::vector<double> swiglu(Matrix<const float> gate, Matrix<const float> up);

}  // namespace orthant::kernels::ref
