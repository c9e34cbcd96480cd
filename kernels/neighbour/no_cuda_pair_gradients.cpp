#include "kernels/dispatch.h"
#include "kernels/neighbour/pair_gradients_cuda.h"

namespace orthant::kernels::cuda {

void pair_gradients(Matrix<const float> unit, Vector<const float>, Matrix<const float>, const PairList&,
                    double, Matrix<float>, Stream&) {
  throw_no_body("pair_gradients", unit.device);
}

}  // namespace orthant::kernels::cuda
