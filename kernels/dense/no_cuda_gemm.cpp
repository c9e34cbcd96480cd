#include "kernels/dense/gemm_cuda.h"
#include "kernels/dispatch.h"

namespace orthant::kernels::cuda {

void pack_operand(Matrix<const float> from, const int32_t*, int64_t, Precision, void*, Stream&) {
  throw_no_body("packing weights", from.device);
}

void matmul_nt(Matrix<const float> x, const DenseWeights&, Matrix<float>, Stream&) {
  throw_no_body("matmul_nt", x.device);
}

}  // namespace orthant::kernels::cuda
