// Packed weights of the CPU as a matrix again: backward products multiply with the transposed weights.
// Thread-safe.
#pragma once

#include "kernels/dense/gemm.h"

namespace orthant::models {

// into [depth, columns] = `weights` [columns, depth] transposed.
void unpack_transposed(const kernels::PackedWeights& weights, Matrix<float> into);

}  // namespace orthant::models
