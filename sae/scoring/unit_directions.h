// The directions that latents write in the residual stream. Collective over the shards.
#pragma once

#include <cstdint>
#include <span>

#include "sae/dictionary/dictionary.h"

namespace orthant::sae {

// Decoder rows of `latents` (global numbers), each divided by its norm (a row of zeros stays), on every rank:
// [latents, d_model].
[[nodiscard]] Tensor<float, 2> unit_directions(const Dictionary& dictionary, std::span<const int64_t> latents,
                                               Communicator& shards, Memory& memory);

}  // namespace orthant::sae
