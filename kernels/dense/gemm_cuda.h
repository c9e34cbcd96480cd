// CUDA bodies of gemm.h, called after its argument checks; without CUDA in the build they throw.
#pragma once

#include "kernels/dense/dense_product.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels::cuda {

// Writes rows chosen[0], chosen[1], ... of `from`, `count` of them, as an operand; the first `count` rows
// where `chosen` is null.
void pack_operand(Matrix<const float> from, const int32_t* chosen, int64_t count, Precision precision,
                  void* into, Stream& stream);

// With bf16, room for the rounded rows is taken for the time of the call.
void matmul_nt(Matrix<const float> x, const DenseWeights& weights, Matrix<float> out, Stream& stream);

}  // namespace orthant::kernels::cuda
