// Double-precision reference of kernels/transformer/attention.h for one sequence without a cache.
#pragma once

#include <vector>

#include "kernels/transformer/attention.h"

namespace orthant::kernels::ref {

// `query` [rows, heads * head_dim], `key`, `value` [rows, kv_heads * head_dim], row = position.
// Returns [rows * heads * head_dim].
[[nodiscard]] std::vector<double> attention(const AttentionShape& shape, Matrix<const float> query,
                                            Matrix<const float> key, Matrix<const float> value);

}  // namespace orthant::kernels::ref
