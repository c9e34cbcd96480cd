// One value a latent, from the slices of the shards to all ranks. Collective over the shards.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/comm/communicator.h"

namespace orthant::sae {

// `own` of this shard's latents, `counts` [shards] latents of each; the result is in the order of latents.
template <typename T>
[[nodiscard]] std::vector<T> gather_latents(const std::vector<T>& own, std::span<const int64_t> counts,
                                            Communicator& shards) {
  int64_t total = 0;
  for (const int64_t count : counts) total += count;
  std::vector<T> all(static_cast<size_t>(total));
  Stream stream;
  shards.all_gather_uneven(own.data(), all.data(), counts, dtype_of<T>(), stream);
  return all;
}

}  // namespace orthant::sae
