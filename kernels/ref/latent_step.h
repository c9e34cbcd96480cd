// Double-precision references of latent_step.h: naive loops over the codes themselves, never over their order
// by latent. Thread-safe.
#pragma once

#include <vector>

#include "kernels/codes/latent_step.h"

namespace orthant::kernels::ref {

// All [local_latents, d_model] or [local_latents]; an empty bias: there is none.
struct LatentRows {
  std::vector<double> encoder, decoder, bias;
};

struct LatentState {
  LatentRows parameters, m, v;
};

// Raw gradients of the paths for latents [first_latent, first_latent + local_latents); `order` is not read.
[[nodiscard]] LatentRows latent_gradients(const LatentStepArgs& args, int64_t first_latent,
                                          int64_t local_latents);

// Adds the penalty and removes the part along the rows of `decoder` [local_latents, d_model].
void finish_latent_gradients(const LatentStepArgs& args, const std::vector<double>& decoder,
                             LatentRows& gradients);

// One step of AdamW on any parameters.
void adam(const AdamConstants& constants, double gradient_scale, const std::vector<double>& gradient,
          std::vector<double>& parameter, std::vector<double>& m, std::vector<double>& v);

// Finish, scale, Adam, unit norm, in the order of args.decoder_norm; `gradients` are raw.
void latent_step(const LatentStepArgs& args, LatentRows gradients, LatentState& state);

}  // namespace orthant::kernels::ref
