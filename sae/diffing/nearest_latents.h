// The latents of a dictionary whose decoder rows are nearest to given directions: whether what one dictionary
// found is in another (arXiv 2503.18878, section 5: presence in a stage). Collective over the shards.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sae/dictionary/dictionary.h"

namespace orthant::sae {

struct NearestLatents {
  std::vector<float> cosine;    // [directions] the largest over all latents; -1 where there is none
  std::vector<int64_t> latent;  // [directions] the lowest that has it; -1 where there is none
};

// Of unit rows `directions` [directions, d_model], equal on all ranks; the result is the same on every rank.
[[nodiscard]] NearestLatents nearest_latents(Matrix<const float> directions, const Dictionary& dictionary,
                                             Communicator& shards);

// The cosine of each latent's decoder row in `a` to that of the same number in `b`, which has the same shape
// and slices: [latents], on every rank. What a dictionary that was trained on turned by.
[[nodiscard]] std::vector<float> same_latent_cosines(const Dictionary& a, const Dictionary& b,
                                                     Communicator& shards, int virtual_shards);

// What the largest cosine of a random direction to `latents` independent random ones is on average.
[[nodiscard]] double chance_largest_cosine(int64_t d_model, int64_t latents);

}  // namespace orthant::sae
