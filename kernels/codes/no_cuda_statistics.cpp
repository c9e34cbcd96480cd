#include "kernels/codes/statistics_cuda.h"
#include "kernels/dispatch.h"

namespace orthant::kernels::cuda {

void mark_fired(CodesView, int64_t, bool, Vector<int32_t> fired, Stream&) {
  throw_no_body("mark_fired", fired.device);
}

void smallest_of_rows(CodesView, Vector<float> smallest, Stream&) {
  throw_no_body("smallest_of_rows", smallest.device);
}

void latent_value_sums(CodesView, LatentOrderView, Vector<double> sums, Stream&) {
  throw_no_body("latent_value_sums", sums.device);
}

void age_latents(int64_t, Vector<int32_t>, Vector<int64_t> tokens, Stream&) {
  throw_no_body("age_latents", tokens.device);
}

int64_t list_dead(Vector<const int64_t> tokens, int64_t, Vector<int32_t>, Vector<int64_t>, Stream&) {
  throw_no_body("list_dead", tokens.device);
}

void gather_chosen(Vector<const int32_t> chosen, int64_t, Vector<const float>, Vector<float>, Vector<int32_t>,
                   Stream&) {
  throw_no_body("gather_chosen", chosen.device);
}

void add_l1_gradients(CodesView, int64_t, double, Vector<const double>, Vector<float> value_gradients,
                      Stream&) {
  throw_no_body("add_l1_gradients", value_gradients.device);
}

void add_l1_penalties(Vector<const double> sums, Vector<const double>, Vector<double>, Stream&) {
  throw_no_body("add_l1_penalties", sums.device);
}

void add_norm_gradients(double, Vector<const double>, Vector<const double>, Matrix<const float> decoder,
                        Matrix<float>, Stream&) {
  throw_no_body("add_norm_gradients", decoder.device);
}

void multiply_codes(CodesView codes, int64_t, Vector<const float>, Stream&) {
  throw_no_body("multiply_codes", codes.values.device);
}

void divide_codes(CodesView codes, int64_t, Vector<const float>, Stream&) {
  throw_no_body("divide_codes", codes.values.device);
}

}  // namespace orthant::kernels::cuda
