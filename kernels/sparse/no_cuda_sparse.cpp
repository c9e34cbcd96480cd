#include "kernels/dispatch.h"
#include "kernels/sparse/sparse_cuda.h"

namespace orthant::kernels::cuda {

void pack_input_major(Matrix<const float> weights, const InputMajorRows&, std::byte*, Stream&) {
  throw_no_body("pack_input_major", weights.device);
}

void kept_inputs(Vector<const float> x, int64_t, int64_t, KeptInputs, Stream&, const RowProducer&) {
  throw_no_body("kept_inputs", x.device);
}

void skipping_gemv(const KeptInputs&, const InputMajorRows&, Vector<float> out, Stream&) {
  throw_no_body("skipping_gemv", out.device);
}

}  // namespace orthant::kernels::cuda
