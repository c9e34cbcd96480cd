// CUDA bodies of code_summary.h, dead_latents.h, l1_penalty.h and scale_codes.h, called after their argument
// checks; without CUDA in the build they throw.
#pragma once

#include "kernels/codes/latent_step.h"

namespace orthant::kernels::cuda {

// Latents of a block of list_dead().
inline constexpr int64_t kListedLatents = 1024;

void mark_fired(CodesView codes, int64_t first_latent, bool by_selection, Vector<int32_t> fired,
                Stream& stream);
void smallest_of_rows(CodesView codes, Vector<float> smallest, Stream& stream);
void latent_value_sums(CodesView codes, LatentOrderView order, Vector<double> sums, Stream& stream);

void age_latents(int64_t more, Vector<int32_t> fired, Vector<int64_t> tokens, Stream& stream);
// Waits for the stream.
int64_t list_dead(Vector<const int64_t> tokens, int64_t threshold, Vector<int32_t> list,
                  Vector<int64_t> scratch, Stream& stream);
void gather_chosen(Vector<const int32_t> chosen, int64_t first_latent, Vector<const float> bias,
                   Vector<float> chosen_bias, Vector<int32_t> chosen_numbers, Stream& stream);

void add_l1_gradients(CodesView codes, int64_t first_latent, double coefficient, Vector<const double> weights,
                      Vector<float> value_gradients, Stream& stream);
void add_l1_penalties(Vector<const double> sums, Vector<const double> weights, Vector<double> penalties,
                      Stream& stream);
void add_norm_gradients(double coefficient, Vector<const double> sums, Vector<const double> norms,
                        Matrix<const float> decoder, Matrix<float> gradient, Stream& stream);

void multiply_codes(CodesView codes, int64_t first_latent, Vector<const float> factors, Stream& stream);
void divide_codes(CodesView codes, int64_t first_latent, Vector<const float> factors, Stream& stream);

}  // namespace orthant::kernels::cuda
