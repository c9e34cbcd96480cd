#include "kernels/codes/latent_step_cuda.h"
#include "kernels/dispatch.h"

namespace orthant::kernels::cuda {

void sort_by_latent(CodesView, int64_t, LatentOrderView order, Stream&) {
  throw_no_body("sort_by_latent", order.offsets.device);
}

void accumulate_latent_gradients(const LatentStepArgs& args, bool, LatentGradients, Stream&) {
  throw_no_body("accumulate_latent_gradients", args.input.device);
}

void finish_latent_gradients(const LatentStepArgs&, Matrix<const float> decoder, LatentGradients, Stream&) {
  throw_no_body("finish_latent_gradients", decoder.device);
}

void latent_gradient_norms(const LatentStepArgs&, Matrix<const float> decoder, bool, Vector<double>,
                           Stream&) {
  throw_no_body("latent_gradient_norms", decoder.device);
}

void stored_gradient_norms(LatentGradients, Vector<double> squared_norms, Stream&) {
  throw_no_body("stored_gradient_norms", squared_norms.device);
}

void latent_bias_gradients(const LatentStepArgs&, Vector<float> bias_gradients, Stream&) {
  throw_no_body("latent_bias_gradients", bias_gradients.device);
}

void latent_step(const LatentStepArgs& args, LatentSlice, Stream&) {
  throw_no_body("latent_step", args.input.device);
}

void latent_step_from_gradients(const LatentStepArgs& args, LatentGradients, LatentSlice, Stream&) {
  throw_no_body("latent_step_from_gradients", args.input.device);
}

void adam_vector(const AdamConstants&, float, Vector<const float>, Vector<float> parameter, Vector<float>,
                 Vector<float>, Stream&) {
  throw_no_body("adam_vector", parameter.device);
}

void normalize_rows(Matrix<float> matrix, Stream&) {
  throw_no_body("normalize_rows", matrix.device);
}

}  // namespace orthant::kernels::cuda
