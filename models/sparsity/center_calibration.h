// The fixed centres of S-PTS: per projection the mean over crops and tokens of the median of its input,
// measured while each token still has its own (activation_sparsity 4; the reference takes the first 100 calls
// of whatever comes).
//
// Not Collective. One thread, which has others work for it; the same bits at any number of them.
#pragma once

#include <functional>

#include "models/sparsity/build_pruning.h"
#include "models/transformer/forward.h"

namespace orthant::models {

// `crops` are token sequences; at least one. `recipe` is that of which the centres will be part. `progress`
// is called with the crops done and may throw to stop.
[[nodiscard]] CalibratedCenters calibrate_centers(const Weights& weights, const ModelFile& file,
                                                  PruningRecipe recipe,
                                                  std::span<const std::span<const int32_t>> crops,
                                                  const std::function<void(int64_t)>& progress,
                                                  Memory& memory, Stream& stream);

}  // namespace orthant::models
