// How well codes stand for activations: every named definition of explained variance, errors, sparsity and
// firing counts, over held-out rows and as at inference.
//
// Definitions A to E of explained variance are those in circulation (A: 1 - FVU, the recommended one; B:
// variances per coordinate with the residual mean removed; C: ratio per token, then mean; D: SAELens and
// SAEBench since 2025; E: one global mean). Sums are formed over fixed blocks of rows in order, so results do
// not depend on the number of replicas. Collective over the world; not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/comm/world.h"
#include "runtime/job/activation_source.h"
#include "sae/dictionary/dictionary.h"

namespace orthant::sae {

struct ReconstructionQuality {
  int64_t rows = 0;
  double explained_variance = 0.0;                 // A
  double explained_variance_per_coordinate = 0.0;  // B
  double explained_variance_legacy = 0.0;          // C
  double explained_variance_saelens = 0.0;         // D
  double fvu_global_mean = 0.0;                    // E
  double mse = 0.0;                                // mean over rows of |x - xhat|^2
  double cosine = 0.0;
  double l2_norm_in = 0.0;
  double l2_norm_out = 0.0;
  double l2_ratio = 0.0;
  double relative_reconstruction_bias = 0.0;
  double l0 = 0.0;
  double l1 = 0.0;
  // Of this rank's latents [local_latents]: rows in which each fired.
  std::vector<int64_t> firing_counts;
  // Of this rank's latents [local_latents]: the largest activation; 0 where the latent never fired.
  std::vector<float> max_activations;
  double alive_fraction = 0.0;  // of all latents: fired at least once
  // Of a crosscoder, definition A over the coordinates of each source; else empty.
  std::vector<double> explained_variance_of_source;

  [[nodiscard]] double fvu() const { return 1.0 - explained_variance; }
};

// The first `rows` rows of `split` (fewer where there are fewer). Collective over the world of `grid`.
[[nodiscard]] ReconstructionQuality measure_reconstruction(const Dictionary& dictionary,
                                                           ActivationSource& source, Split split,
                                                           int64_t rows, Grid& grid, int virtual_shards);

}  // namespace orthant::sae
