// Continuation of prompts, token by token, from a key-value cache: greedy, or sampled at a temperature.
//
// A draw is a pure function of (seed, prompt number, position), and a continuation does not depend on the
// other prompts nor on how many are continued together, unless a pruning looks across rows or there are
// decode weights, which serve forwards of one row alone. Not Collective. One thread.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "models/transformer/forward.h"
#include "runtime/core/stopwatch.h"

namespace orthant::models {

struct GenerationOptions {
  int64_t max_new_tokens = 32;
  double temperature = 0.0;  // 0: greedy, ties to the lowest token
  uint64_t seed = 0;
  std::vector<int32_t> stops = {};  // each ends a continuation and is its last token
  // Asked after each new token with all new ones of that prompt: whether they are all that is wanted. None:
  // never.
  std::function<bool(std::span<const int32_t>)> is_complete = {};
  // Prompts that are continued at a time; where one is complete, the next begins. 0: all. Each takes room in
  // the cache for the longest prompt and max_new_tokens.
  int64_t together = 0;
  std::function<void(int64_t)> progress = [](int64_t) {};  // called with the number of complete prompts
  std::span<const EditAt> edits = {};                      // applied to prompt and new tokens alike
  const ModelPruning* pruning = nullptr;  // of the projections' inputs, of prompt and new tokens alike
  // What forwards of one row read (forward.h): those of the new tokens of a single prompt.
  const DecodeWeights* decode_weights = nullptr;
  Stopwatch* decoding = nullptr;  // runs after the first forward
};

// The new tokens of each prompt. Ends early where the model's context is full. Throws Error(kConfig) for an
// empty prompt, one as long as the context, or a negative temperature.
[[nodiscard]] std::vector<std::vector<int32_t>> generate(const Weights& weights,
                                                         std::span<const std::vector<int32_t>> prompts,
                                                         const GenerationOptions& options, Memory& memory,
                                                         Stream& stream);

}  // namespace orthant::models
