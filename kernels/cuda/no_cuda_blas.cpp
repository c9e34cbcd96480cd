#include "kernels/cuda/cuda_blas.h"
#include "kernels/dispatch.h"

namespace orthant::kernels::cuda {

bool has_blas() {
  return false;
}

BlasProduct::BlasProduct(Device device, int64_t, Precision) {
  throw_no_body("the dense product", device);
}

void BlasProduct::run(Operand, Operand, float*, int64_t, Stream& stream) const {
  throw_no_body("the dense product", stream.device());
}

}  // namespace orthant::kernels::cuda
