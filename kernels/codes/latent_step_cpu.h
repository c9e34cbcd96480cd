// CPU bodies of latent_step.h, called after its argument checks. Threads are OpenMP's; every latent is worked
// on by one thread in one order, so bits do not depend on them.
#pragma once

#include "kernels/codes/latent_step.h"

namespace orthant::kernels::cpu {

// Gradient rows of the latent at hand live on the stack of each thread.
inline constexpr int64_t kWidestRow = 16384;

void sort_by_latent(CodesView codes, int64_t first_latent, LatentOrderView order);
void accumulate_latent_gradients(const LatentStepArgs& args, bool accumulate, LatentGradients out);
void finish_latent_gradients(const LatentStepArgs& args, Matrix<const float> decoder,
                             LatentGradients gradients);
void latent_gradient_norms(const LatentStepArgs& args, Matrix<const float> decoder, bool has_bias,
                           Vector<double> squared_norms);
void stored_gradient_norms(LatentGradients gradients, Vector<double> squared_norms);
void latent_bias_gradients(const LatentStepArgs& args, Vector<float> bias_gradients);
void latent_step(const LatentStepArgs& args, LatentSlice slice);
void latent_step_from_gradients(const LatentStepArgs& args, LatentGradients gradients, LatentSlice slice);
void adam_vector(const AdamConstants& adam, float gradient_scale, Vector<const float> gradient,
                 Vector<float> parameter, Vector<float> m, Vector<float> v);
void normalize_rows(Matrix<float> matrix);

}  // namespace orthant::kernels::cpu
