// One latent at a time on the CPU: its gradient rows, the projection of the decoder's, and Adam on both. The
// fused step and the steps through gradient tensors call the same functions in the same order. Thread-safe
// for distinct latents.
#pragma once

#include "kernels/codes/latent_step.h"
#include "kernels/isa/vector.h"

namespace orthant::kernels {

// Constants of the update for this step; bias corrections in f64.
[[nodiscard]] AdamFactors adam_factors(const AdamConstants& adam, float gradient_scale);

// encoder = sum of value_gradient * input row, decoder = sum of value * output_gradient row, over the entries
// of `latent` in all paths. A null row is not computed.
void gather_gradients(const LatentStepArgs& args, int64_t latent, float* encoder, float* decoder);

// The sum of the value gradients of `latent` over all paths, in f64.
[[nodiscard]] float bias_gradient(const LatentStepArgs& args, int64_t latent);

// The factor that makes `row` a unit vector, as `norm` defines it before the step; 0 for kFree.
[[nodiscard]] double inverse_norm_before_step(DecoderNorm norm, const float* row, int64_t d_model);

// Adds the penalty of `latent` to its decoder gradient and removes the part along `row`, whose inverse norm
// is given.
void finish_decoder_gradient(const LatentStepArgs& args, int64_t latent, const float* row,
                             double inverse_norm, float* gradient);

// One row and its moments.
struct AdamRow {
  float* parameter;
  float* m;
  float* v = nullptr;             // or
  uint16_t* v_in_bf16 = nullptr;  // rounded by the draws of `key`
  RoundingKey key = {};
};

[[nodiscard]] AdamRow encoder_row(const LatentSlice& slice, const AdamConstants& adam, int64_t latent);
[[nodiscard]] AdamRow decoder_row(const LatentSlice& slice, const AdamConstants& adam, int64_t latent);

void step_row(const AdamFactors& factors, const float* gradient, int64_t d_model, const AdamRow& row);

// step_row() of the decoder, with unit norm set before or after it.
void step_decoder_row(DecoderNorm norm, const AdamFactors& factors, double inverse_norm,
                      const float* gradient, int64_t d_model, const AdamRow& row);

}  // namespace orthant::kernels
