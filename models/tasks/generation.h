// Continuation of prompts, token by token, from a key-value cache: greedy, or sampled at a temperature.
//
// A draw is a pure function of (seed, prompt number, position), and a continuation does not depend on the
// other prompts of the batch. Not Collective. One thread.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "models/transformer/forward.h"
#include "runtime/core/stopwatch.h"

namespace orthant::models {

struct GenerationOptions {
  int64_t max_new_tokens = 32;
  double temperature = 0.0;  // 0: greedy, ties to the lowest token
  uint64_t seed = 0;
  std::optional<int32_t> stop = {};       // ends a continuation and is its last token
  std::span<const EditAt> edits = {};     // applied to prompt and new tokens alike
  const ModelPruning* pruning = nullptr;  // of the projections' inputs, of prompt and new tokens alike
  // What forwards of one row read (forward.h): those of the new tokens of a single prompt.
  const DecodeWeights* decode_weights = nullptr;
  Stopwatch* decoding = nullptr;  // runs while tokens after the first ones are made
};

// The new tokens of each prompt. Ends early where the model's context is full. Throws Error(kConfig) for an
// empty prompt, one as long as the context, or a negative temperature.
[[nodiscard]] std::vector<std::vector<int32_t>> generate(const Weights& weights,
                                                         std::span<const std::vector<int32_t>> prompts,
                                                         const GenerationOptions& options, Memory& memory,
                                                         Stream& stream);

}  // namespace orthant::models
