// What makes good for pruned inputs in the products that they gave (activation_sparsity 4, the fused form):
// y[r, o] = (row_factors[r] * y[r, o] + centers[r] * weight_sums[o]) * column_factors[o] + column_offsets[o].
//
// Any of the vectors may be empty: factors are 1 then, centers and offsets 0, and nothing is rounded for
// them. The same bits on CPU and CUDA. Thread-safe for distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

struct Mending {
  Vector<const float> row_factors = {};     // [rows]
  Vector<const float> centers = {};         // [rows], with weight_sums
  Vector<const float> weight_sums = {};     // [outputs]
  Vector<const float> column_factors = {};  // [outputs]
  Vector<const float> column_offsets = {};  // [outputs]
};

// `y` [rows, outputs].
void mend_products(const Mending& mending, Matrix<float> y, Stream& stream);

}  // namespace orthant::kernels
