// Log-likelihood of a continuation after a context, by the rules of lm-eval-harness: trailing white space of
// the context moves to the continuation, both are tokenised together, the context is cut on the left where it
// is too long.
//
// Requests whose model input is the same share a forward. A score does not depend on the other requests. Not
// Collective. One thread.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "models/tasks/token_scores.h"
#include "models/tokenizer/tokenizer.h"

namespace orthant::models {

struct TokenPair {
  std::vector<int32_t> context;
  std::vector<int32_t> continuation;
};

// An empty context becomes BOS, or EOS where there is no BOS; a BOS is put in front where the model's
// metadata asks for it. Throws Error(kData) when the continuation has no token.
[[nodiscard]] TokenPair encode_pair(const Tokenizer& tokenizer, std::string_view context,
                                    std::string_view continuation);

struct PairScore {
  double log_prob = 0.0;  // summed over the continuation's tokens
  bool greedy = true;     // each of them is the most probable one
  int64_t tokens = 0;     // of the continuation
};

// In the order of `pairs`. Throws Error(kData) when a continuation is longer than the model's context.
// `progress` is called with the number of pairs done and may throw to stop.
[[nodiscard]] std::vector<PairScore> score_pairs(const Weights& weights, std::span<const TokenPair> pairs,
                                                 const std::function<void(int64_t)>& progress, Memory& memory,
                                                 Stream& stream);

}  // namespace orthant::models
