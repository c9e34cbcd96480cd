// What a crosscoder of two sources says of their difference: how each latent's decoder rows divide between
// them, and by how much a latent explains the source that its norms leave it out of.
//
// Everything is in the units that the crosscoder was trained in: activations times the scale of their source,
// which makes sources of different norms comparable. Collective over the shards where it says so.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/comm/world.h"
#include "runtime/job/activation_source.h"
#include "sae/dictionary/dictionary.h"

namespace orthant::sae {

// Of every latent, on every rank; A is the first source, B the second.
struct DecoderSources {
  std::vector<float> norm_a, norm_b;  // [latents] |d_A|, |d_B|
  // |d_B| / (|d_A| + |d_B|) (Lindsey et al. 2024, "Sparse Crosscoders"): 0 of A alone, 1 of B alone, 0.5 of
  // both; 0.5 where both are 0.
  std::vector<float> relative_norm;  // [latents]
  std::vector<float> cosine;         // [latents] of d_A and d_B; 0 where one of them is 0
};

// Collective over the shards. Throws Error(kConfig) unless the dictionary has two sources.
[[nodiscard]] DecoderSources decoder_sources(const Dictionary& dictionary, Communicator& shards);

// Latent scaling (Minder et al., arXiv 2504.02922, section 3): each latent's direction is that of its owner,
// the source with the larger norm, and beta (see latent_scaling.h) is found for each source of two targets:
// of its error without the latent, x - (xhat - f d), and of its reconstruction xhat. The ratio of the other
// source's to the owner's is near 0 where the other source does not have what the latent stands for, and near
// 1 where it does, whatever the norms say: an error that the latent explains in the other source tells
// complete shrinkage, a reconstruction that it explains there latent decoupling.
struct CrosscoderScaling {
  int64_t rows = 0;
  std::vector<int64_t> firings;                   // [latents] rows in which it was above 0
  std::vector<float> error_beta_a, error_beta_b;  // [latents]
  std::vector<float> reconstruction_beta_a, reconstruction_beta_b;
  std::vector<float> error_ratio, reconstruction_ratio;  // [latents] other / owner; 0 where the owner's is 0
};

// Collective over the shards, each of which reads the first `rows` rows of the split (0: all). `source` gives
// what the crosscoder was trained on, joined.
[[nodiscard]] CrosscoderScaling crosscoder_scaling(const Dictionary& dictionary, ActivationSource& source,
                                                   Split split, int64_t rows, World& world);

}  // namespace orthant::sae
