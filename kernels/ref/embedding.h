// Double-precision reference of kernels/transformer/embedding.h.
#pragma once

#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::kernels::ref {

// [rows * d_model]
[[nodiscard]] std::vector<double> embed(Matrix<const float> table, Vector<const int32_t> token_ids);

}  // namespace orthant::kernels::ref
