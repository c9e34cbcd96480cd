// CUDA bodies of latent_step.h, called after its argument checks; without CUDA in the build they throw. A
// latent is worked on by one block in one order, so the fused step and the steps through gradient tensors
// give the same bits. At most two paths.
#pragma once

#include "kernels/codes/latent_step.h"

namespace orthant::kernels::cuda {

void sort_by_latent(CodesView codes, int64_t first_latent, LatentOrderView order, Stream& stream);
void accumulate_latent_gradients(const LatentStepArgs& args, bool accumulate, LatentGradients out,
                                 Stream& stream);
void finish_latent_gradients(const LatentStepArgs& args, Matrix<const float> decoder,
                             LatentGradients gradients, Stream& stream);
void latent_gradient_norms(const LatentStepArgs& args, Matrix<const float> decoder, bool has_bias,
                           Vector<double> squared_norms, Stream& stream);
void stored_gradient_norms(LatentGradients gradients, Vector<double> squared_norms, Stream& stream);
void latent_bias_gradients(const LatentStepArgs& args, Vector<float> bias_gradients, Stream& stream);
void latent_step(const LatentStepArgs& args, LatentSlice slice, Stream& stream);
void latent_step_from_gradients(const LatentStepArgs& args, LatentGradients gradients, LatentSlice slice,
                                Stream& stream);
void adam_vector(const AdamConstants& adam, float gradient_scale, Vector<const float> gradient,
                 Vector<float> parameter, Vector<float> m, Vector<float> v, Stream& stream);
void normalize_rows(Matrix<float> matrix, Stream& stream);

}  // namespace orthant::kernels::cuda
