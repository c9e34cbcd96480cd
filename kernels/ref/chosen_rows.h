// Double-precision reference of kernels/transformer/chosen_rows.h.
#pragma once

#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::kernels::ref {

// [rows * width]
[[nodiscard]] std::vector<double> gather_rows(Matrix<const float> table, Vector<const int32_t> chosen);
// `into` with the rows of `from` in the places `chosen`, [rows of into * width]
[[nodiscard]] std::vector<double> scatter_rows(Matrix<const float> from, Vector<const int32_t> chosen,
                                               Matrix<const float> into);

}  // namespace orthant::kernels::ref
