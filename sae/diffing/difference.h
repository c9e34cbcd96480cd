// What a dictionary of differences B - A of two sources stands for, latent by latent: how much of the
// difference it carries, and how its direction stands in either source where it fires.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/comm/world.h"
#include "runtime/job/activation_source.h"
#include "sae/dictionary/dictionary.h"

namespace orthant::sae {

struct DifferenceLatents {
  int64_t rows = 0;
  // Sums over rows of |A|^2, |B|^2 and |B - A|^2, in raw activations.
  double squares_a = 0.0, squares_b = 0.0, squares_difference = 0.0;
  std::vector<int64_t> firings;  // [latents] rows in which it was above 0
  // |d|^2 sum f^2 over sum |B - A|^2, both in scaled activations: the part of the difference that the latent
  // writes. Parts of latents that overlap add up to more or less than 1.
  std::vector<float> share;  // [latents]
  // Least-squares scaling of f d to A and to B (see latent_scaling.h). The second minus the first is the
  // scaling to the difference, 1 where the latent stands for all of it. (0, 1): only B has it; (-1, 0): only
  // A has its opposite; (x, x + 1): both have it, B more.
  std::vector<float> beta_a, beta_b;  // [latents]
};

// Collective over the shards, each of which reads the first `rows` rows of the split (0: all). `joined` gives
// rows of A and B side by side, [2 * d_model].
[[nodiscard]] DifferenceLatents difference_latents(const Dictionary& dictionary, ActivationSource& joined,
                                                   Split split, int64_t rows, World& world);

}  // namespace orthant::sae
