// Whitening of the input by its covariance: coordinates along the principal axes, each divided by its
// standard deviation, so that no direction of large variance drowns the others.
//
//   z = diag(spread)^-1 axes (x - mean),   x = axes^T diag(spread) z + mean,   spread = sqrt(eigenvalue +
//   1e-3)
//
// (SAELens' covariance whitening: mean and covariance in f64, E diag(lambda + 1e-3)^(-1/2).) Estimated once,
// from a presample of the training rows; a part of the dictionary from then on, equal on every rank.
#pragma once

#include "runtime/comm/communicator.h"
#include "runtime/device/tensor.h"
#include "runtime/job/activation_source.h"

namespace orthant::sae {

struct Whitening {
  Whitening() = default;
  // Uninitialised, for inputs of d_model coordinates; 0: no whitening.
  Whitening(Memory& memory, std::string_view segment, int64_t d_model);
  [[nodiscard]] int64_t d_model() const { return mean.shape()[0]; }

  Tensor<float, 1> mean;    // [d_model]
  Tensor<float, 2> axes;    // [d_model, d_model] a principal axis of length 1 in each row, the largest first
  Tensor<float, 1> spread;  // [d_model] along each axis
};

void copy_whitening(const Whitening& from, Whitening& into);

// Collective. From the first `rows` training rows (fewer where the source has fewer): ranks read them in
// parts and share out the covariance; the same bits at any number of ranks. Throws Error(kNonFinite) where
// activations are not finite.
void find_whitening(ActivationSource& source, int64_t rows, Communicator& world, Whitening& into);

// A row of the decoder of whitened inputs, as it adds to raw ones: sum over i of row[i] * spread[i] *
// axes[i]. `row` and `out` [d_model] do not overlap.
void unwhiten_direction(const Whitening& whitening, const float* row, float* out);
// A row of the encoder of whitened inputs, as it multiplies raw ones: sum over i of row[i] / spread[i] *
// axes[i].
void unwhiten_functional(const Whitening& whitening, const float* row, float* out);

}  // namespace orthant::sae
