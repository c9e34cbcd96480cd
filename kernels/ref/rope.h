// Double-precision reference of kernels/transformer/rope.h, from the frequencies themselves.
#pragma once

#include <span>
#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::kernels::ref {

// [rows * heads * head_dim]; `frequencies` [head_dim / 2] radians a position.
[[nodiscard]] std::vector<double> rotate_heads(Matrix<const float> x, Vector<const int32_t> positions,
                                               std::span<const double> frequencies);

}  // namespace orthant::kernels::ref
