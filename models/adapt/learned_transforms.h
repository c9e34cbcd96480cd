// The learned transforms of a model whose projections are pruned: their parameters, what they were learned
// for, and their file.
//
// The file is safetensors: "model.layers.L.self_attn.q_proj.input_shift" [inputs], ".output_shift",
// ".output_scale" [outputs], ".low_rank_out" [outputs, rank], ".low_rank_in" [rank, inputs], "block_errors"
// [blocks, 2], all f32, and metadata that names model, pruning, transform and settings. It appears under its
// name only when it is whole, and is written again as training goes on: one that is not finished says how far
// it came. Equal training gives equal bytes. Not Collective.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/adapt/adamw.h"
#include "models/adapt/learned_parameters.h"

namespace orthant::models {

// What transforms depend on, by name: "model", "pruning", "transform", "text", "lr", ...
using LearnedOrigin = std::map<std::string, std::string>;

// The mean squared error of a block's output against that of the unpruned block on the same inputs, over
// further crops of the same text, which may overlap those that were trained on; 0 where there were none.
struct BlockError {
  float before = 0.0f;  // without what is learned
  float after = 0.0f;
};

struct LearnedTransforms {
  LearnedKind kind;
  LearnedOrigin origin;
  std::vector<LearnedBlock> blocks;      // [layers of the model]
  std::vector<BlockError> block_errors;  // [layers], of training by layers
  int64_t finished = 0;                  // blocks, or steps of global training
  int64_t total = 0;
  AdamW::State optimiser;  // of unfinished global training
  [[nodiscard]] bool is_finished() const { return finished == total; }
};

// XXH3-128 of the origin, in hexadecimal.
[[nodiscard]] std::string key_of(const LearnedOrigin& origin);

// XXH3-128 of which inputs of a model survive: patterns, criteria, gains, factors, for the key.
[[nodiscard]] std::string identity_of(const ModelPruning& pruning);

// Throws Error(kIo).
void save_learned(const LearnedTransforms& learned, const ModelConfig& config, const std::string& path);

// Of `path`. Throws Error(kConfig) naming what differs where they were learned for something else than
// `origin`, Error(kData) where the file is damaged or is no such file.
[[nodiscard]] LearnedTransforms load_learned(const std::string& path, const ModelConfig& config,
                                             const LearnedKind& kind, const LearnedOrigin& origin);

// Mends `pruning`, that they were learned for, in memory of `weights`. Throws Error(kConfig) for transforms
// that are not finished.
void apply(const LearnedTransforms& learned, const Weights& weights, ModelPruning& pruning, Memory& memory,
           Stream& stream);

}  // namespace orthant::models
