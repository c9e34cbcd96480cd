#include "kernels/sparse/two_of_four.h"
#include "runtime/core/error.h"

namespace orthant::kernels::cuda {

bool has_two_of_four() {
  return false;
}

TwoOfFourProduct::TwoOfFourProduct(Memory&, int64_t, int64_t, int64_t) : shape_{} {
  throw Error(ExitCode::kDevice, {.problem = "a 2:4 sparse product cannot be made",
                                  .why = "cuSPARSELt is not configured in this build",
                                  .suggestion = "Install cuSPARSELt and build again."});
}

void TwoOfFourProduct::compress(Matrix<const uint16_t>, Stream&) {}

void TwoOfFourProduct::multiply(Matrix<const uint16_t>, Matrix<uint16_t>, Stream&) {}

}  // namespace orthant::kernels::cuda
