// How the directions of a dictionary lie to each other: nearest neighbours of decoder and encoder rows over
// the whole dictionary, the angle between a latent's encoder and decoder row, and what chance would give.
// Collective over the shards.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/comm/communicator.h"
#include "sae/dictionary/dictionary.h"

namespace orthant::sae {

// Of all latents, on every rank. Cosines are signed.
struct DictionaryGeometry {
  std::vector<float> max_decoder_cosine;      // [latents] to the nearest other decoder row
  std::vector<float> max_encoder_cosine;      // [latents] to the nearest other encoder row
  std::vector<float> encoder_decoder_cosine;  // [latents]; 0 where one of the rows is zero
  std::vector<float> encoder_norm;            // [latents]
  std::vector<float> encoder_bias;            // [latents]
  double mean_max_decoder_cosine = 0.0;       // OrtSAE's MeanCosSim
  double mean_max_encoder_cosine = 0.0;
  double chance_mean_cosine = 0.0;  // mean_max_decoder_cosine of independent random directions
};

// `dictionary` is this shard's slice, cut as latent_slice() does. Random directions are drawn from `seed`.
[[nodiscard]] DictionaryGeometry measure_geometry(const Dictionary& dictionary, uint64_t seed,
                                                  Communicator& shards, int virtual_shards);

// The slices of all shards, in order.
[[nodiscard]] std::vector<Share> all_slices(int64_t latents, int shards, int virtual_shards);

}  // namespace orthant::sae
