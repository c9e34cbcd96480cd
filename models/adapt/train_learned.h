// Training of the transforms that mend a model whose projections are pruned (activation_sparsity 5).
//
// By layers: block after block, each on the outputs of the pruned and mended blocks before it, towards the
// output of the same block without pruning on the same inputs; mean squared error, one crop a step, one epoch
// in random order. Globally: the next-token loss of the whole model over consecutive windows, gradients of
// `accumulation` windows a step. Only the learned parameters are trained; the reference's global training
// also moves embeddings, norms and head.
//
// One rank trains: a step needs the one before it, and what ranks share are the transforms of different
// patterns. What it gives depends on neither threads nor ranks. f32 on the CPU. Not Collective, not
// thread-safe.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "models/adapt/learned_transforms.h"
#include "models/adapt/low_rank_start.h"

namespace orthant::models {

enum class LearnedMethod { kByLayers, kGlobal };

// The values are the reference's of training by layers.
struct LearnedSettings {
  LearnedMethod method = LearnedMethod::kByLayers;
  LearnedKind kind;
  LowRankStart low_rank_start = LowRankStart::kRandom;
  int64_t crops = 256;   // that are trained on; globally windows, at most those of the text
  int64_t held_out = 8;  // further crops for block_errors; by layers
  int64_t length = 512;  // tokens of a crop or window
  int64_t accumulation = 1;
  AdamWSettings optimiser;
  uint64_t seed = 0;
};

// The reference's values of global training: windows of 2048, 16 of them a step, and all the text.
[[nodiscard]] LearnedSettings global_settings();

struct LearnedProgress {
  int64_t finished = 0;  // crops of all blocks, or windows
  int64_t total = 0;
  int64_t block = 0;  // by layers
  double loss = 0.0;  // of the crop or window
};

struct LearnedTask {
  const Weights& weights;      // f32, on the CPU; with the head for global training
  std::string model_identity;  // of the model file
  const ModelPruning& pruning;
  std::span<const int32_t> ids;  // the text
};

// What the transforms of this task and these settings depend on. Throws Error(kConfig) for settings that
// learn nothing or do not fit the text or the model.
[[nodiscard]] LearnedOrigin learned_origin(const LearnedTask& task, const LearnedSettings& settings);

// The transforms, from `path` where they are finished there; what is not finished continues at the block or
// step it stopped in and ends with the bytes of a training that was never stopped. An empty path keeps
// nothing. `progress` is called after every crop or window and may throw to stop. Throws Error(kConfig) for a
// file that was learned for something else, Error(kNonFinite) where the loss leaves the finite range.
[[nodiscard]] LearnedTransforms train_learned(const LearnedTask& task, const LearnedSettings& settings,
                                              const std::string& path,
                                              const std::function<void(const LearnedProgress&)>& progress,
                                              Memory& memory, Stream& stream);

// Throws Error(kNonFinite) for the loss of a training that diverged.
void check_loss(double loss);

}  // namespace orthant::models
