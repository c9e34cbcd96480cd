// Values of each latent of every slice, in the order of latents. Collective over the shards.
#pragma once

#include <vector>

#include "runtime/comm/communicator.h"
#include "sae/dictionary/shard_encoder.h"

namespace orthant::sae {

// `own` [local_latents] of a dictionary that is cut without virtual shards -> [latents], on every rank.
template <typename T>
[[nodiscard]] std::vector<T> gathered(const std::vector<T>& own, Dtype dtype, const Dictionary& dictionary,
                                      Communicator& shards) {
  std::vector<T> all(static_cast<size_t>(dictionary.latents));
  Stream stream;
  shards.all_gather_uneven(own.data(), all.data(), latents_per_shard(dictionary.latents, shards.size(), 0),
                           dtype, stream);
  return all;
}

}  // namespace orthant::sae
