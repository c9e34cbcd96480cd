// The largest cosine of each latent's direction to any other of the whole dictionary: OrtSAE's MeanCosSim is
// their mean (signed, all latents, not chunks).
//
// A ring over the shards: S - 1 hops of one slice of unit rows. Collective over the shards; not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/dense/dense_product.h"
#include "runtime/comm/communicator.h"
#include "runtime/core/share.h"
#include "runtime/device/tensor.h"

namespace orthant::sae {

// For each row of `rows` [local_latents, d_model] (the slice of this shard; `slices` [shards] are all of
// them), the largest cosine to another row of any shard. -1 where there is no other row.
[[nodiscard]] std::vector<float> neighbour_cosines(
    Matrix<const float> rows, std::span<const Share> slices, Communicator& shards, Stream& stream,
    kernels::ProductOrder order = kernels::ProductOrder::kLibrary);

// Every shard's values in latent order, on every rank. Collective.
[[nodiscard]] std::vector<float> gather_latent_values(std::span<const float> local,
                                                      std::span<const Share> slices, Communicator& shards,
                                                      Stream& stream);

// In the order of the values, in f64.
[[nodiscard]] double mean_of(std::span<const float> values);

// The mean that independent random directions of the same shape have: what neighbour cosines are to be held
// against. Drawn from `seed`; Collective over the shards.
[[nodiscard]] double chance_mean_cosine(int64_t d_model, uint64_t seed, std::span<const Share> slices,
                                        Communicator& shards, Stream& stream,
                                        kernels::ProductOrder order = kernels::ProductOrder::kLibrary);

}  // namespace orthant::sae
