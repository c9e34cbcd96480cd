// Dense weight pruning of a model, the baselines beside pruning of its inputs: magnitude, Wanda, SparseGPT.
//
// Block after block, as the published programs: the calibration crops pass the block with its dense weights
// while the inputs of its projections are seen, its projections are pruned, and the crops pass it once more
// to become the inputs of the next block. Weights come from the file in f32 and are rounded to the precision
// of the products afterwards. Scores and solutions are computed on the host, so what is pruned there depends
// neither on threads nor on how many ranks do the same. Not Collective. One thread, which has others work.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <vector>

#include "models/sparsity/weight_pruning.h"
#include "models/transformer/pruning.h"
#include "models/transformer/weights.h"

namespace orthant::models {

enum class WeightMethod { kMagnitude, kWanda, kSparseGpt };
[[nodiscard]] constexpr bool needs_crops(WeightMethod method) {
  return method != WeightMethod::kMagnitude;
}

struct WeightPruning {
  WeightMethod method = WeightMethod::kMagnitude;
  WeightPattern pattern;
  std::vector<std::array<bool, kProjections>> chosen;  // [blocks]: which projections are pruned
};

// Every projection of every block of `config`.
[[nodiscard]] std::vector<std::array<bool, kProjections>> all_projections(const ModelConfig& config);

// Replaces the projections of `weights`, which are those of `file` on the device of the memory: the chosen
// ones pruned, the others as the file has them, whatever was there before. `crops` are token ids, each a
// sequence of its own; magnitude needs none. `progress` is called with the blocks done and those there are
// and may throw to stop, which leaves the blocks after it as they were. Throws Error(kConfig) where the
// pattern does not fit a chosen projection or crops are missing or longer than the model's context, and
// Error(kNonFinite) where the crops give SparseGPT inputs that are not finite.
void prune_weights(Weights& weights, const ModelFile& file, const WeightPruning& pruning,
                   std::span<const std::vector<int32_t>> crops,
                   const std::function<void(int64_t done, int64_t all)>& progress, Memory& memory,
                   Stream& stream);

// All projections as the file has them.
void restore_weights(Weights& weights, const ModelFile& file, Memory& memory, Stream& stream);

}  // namespace orthant::models
