// How much of what the projections of the dense model read survives each pattern, chosen by magnitude: why
// larger groups cost less.
//
// Not Collective. One thread, which has others work for it. The bits do not depend on threads.
#pragma once

#include <span>
#include <vector>

#include "kernels/sparse/retained_energy.h"
#include "models/sparsity/pattern.h"
#include "models/transformer/forward.h"

namespace orthant::models {

struct RetainedInputs {
  int64_t layer = 0;
  Projection projection = Projection::kQuery;     // the first of those that read the input
  std::vector<kernels::RetainedEnergy> patterns;  // of each, the mean over tokens of a token's own shares
};

// Block by block: the inputs of q, o, gate and down over all tokens of `crops`. A dense pattern retains all.
// Throws Error(kConfig) where a group does not divide the inputs.
[[nodiscard]] std::vector<RetainedInputs> retained_inputs(const Weights& weights,
                                                          std::span<const SparsityPattern> patterns,
                                                          std::span<const std::span<const int32_t>> crops,
                                                          Memory& memory, Stream& stream);

}  // namespace orthant::models
