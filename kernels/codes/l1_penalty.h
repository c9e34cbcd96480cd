// The L1 penalty of activations: what it adds to their gradients, and to the decoder rows whose norms it
// multiplies them with. Empty weights are 1 each. Not Collective.
#pragma once

#include "kernels/codes/codes.h"
#include "runtime/device/stream.h"

namespace orthant::kernels {

// value_gradients[e] += coefficient * weights[latent of e - first_latent]: `weights` [local_latents] or
// empty, all latents of the codes lie in the slice.
void add_l1_gradients(CodesView codes, int64_t first_latent, double coefficient, Vector<const double> weights,
                      Vector<float> value_gradients, Stream& stream);

// penalties[i] += sums[i] * weights[i], [local_latents] or empty weights: sums of a latent's activations.
void add_l1_penalties(Vector<const double> sums, Vector<const double> weights, Vector<double> penalties,
                      Stream& stream);

// gradient[i] += coefficient * sum of the row's latent * decoder[i] / norms[i], where neither the sum nor the
// norm is 0: `decoder`, `gradient` [rows, width], `norms` [rows], `sums` [local_latents]. A latent has as
// many consecutive rows as there are rows for each: one, or one for each source of a crosscoder.
void add_norm_gradients(double coefficient, Vector<const double> sums, Vector<const double> norms,
                        Matrix<const float> decoder, Matrix<float> gradient, Stream& stream);

}  // namespace orthant::kernels
