// The fixed centres of S-PTS: per projection the mean over crops and tokens of the median of its input,
// measured while each token still has its own (activation_sparsity 4; the reference takes the first 100 calls
// of whatever comes).
//
// Not Collective. One thread, which has others work for it; the same bits at any number of them.
#pragma once

#include "models/sparsity/build_pruning.h"
#include "models/transformer/forward.h"

namespace orthant::models {

// Of a crop the mean over its tokens of the medians of each projection's input: [layers][projection].
using CropMedians = std::vector<std::array<double, kProjections>>;

// Of each of `crops`, which are token sequences. `recipe` is that of which the centres will be part.
[[nodiscard]] std::vector<CropMedians> crop_medians(const Weights& weights, const ModelFile& file,
                                                    PruningRecipe recipe,
                                                    std::span<const std::span<const int32_t>> crops,
                                                    Memory& memory, Stream& stream);

// Their means, in the order of the crops; at least one.
[[nodiscard]] CalibratedCenters mean_centers(std::span<const CropMedians> crops);

}  // namespace orthant::models
