// Our own dense product on a CUDA device; in a build without CUDA it throws. Not Collective.
#pragma once

#include "kernels/cuda/cuda_blas.h"

namespace orthant::kernels::cuda {

// out[r * out_stride + c] = sum over k of x[r, k] * w[c, k], one chain of fused multiply-adds in f32 over
// ascending k: the bits of gemm.h on the CPU, whatever rows and columns are computed together. Operands f32
// or bf16. Throws Error(kDevice).
void depth_product(Operand x, Operand w, int64_t depth, Precision precision, float* out, int64_t out_stride,
                   Stream& stream);

}  // namespace orthant::kernels::cuda
