#include "kernels/codes/decode_cuda.h"
#include "kernels/dispatch.h"

namespace orthant::kernels::cuda {

void decode(CodesView, int64_t, Matrix<const float>, DecodeStart, Vector<const float>, Matrix<float> out,
            Stream&) {
  throw_no_body("decode", out.device);
}

void reconstruction_error(Matrix<const float> input, Matrix<const float>, float, Matrix<float>,
                          Vector<double>, Stream&) {
  throw_no_body("reconstruction_error", input.device);
}

void value_gradients(CodesView, int64_t, Matrix<const float> decoder, Matrix<const float>, Vector<float>,
                     Stream&) {
  throw_no_body("value_gradients", decoder.device);
}

void decode_with_gradients(CodesView, int64_t, Matrix<const float> decoder, Vector<const float>,
                           Matrix<const float>, float, Matrix<float>, Vector<double>, Vector<float>,
                           Stream&) {
  throw_no_body("decode_with_gradients", decoder.device);
}

void column_sums(Matrix<const float> matrix, Vector<double>, Stream&) {
  throw_no_body("column_sums", matrix.device);
}

}  // namespace orthant::kernels::cuda
