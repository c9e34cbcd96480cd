// Log-likelihood of a continuation after a context, by the rules of lm-eval-harness: trailing white space of
// the context moves to the continuation, both are tokenised together, the context is cut on the left where it
// is too long.
//
// A score does not depend on the other pairs, bit for bit, nor on the layout of the forwards. Not Collective.
// One thread.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "models/tasks/pair_forwards.h"
#include "models/tasks/token_scores.h"
#include "models/tokenizer/tokenizer.h"

namespace orthant::models {

// Which pairs begin with the model's BOS: those of a model whose metadata asks for it, or only empty
// contexts, as lm-evaluation-harness has it of all models but Gemma.
enum class PairStart { kAsTheModelAsks, kOnlyOfEmptyContexts };

// An empty context becomes BOS, or EOS where there is no BOS. Throws Error(kData) when the continuation has
// no token.
[[nodiscard]] TokenPair encode_pair(const Tokenizer& tokenizer, std::string_view context,
                                    std::string_view continuation,
                                    PairStart start = PairStart::kAsTheModelAsks);

struct PairOptions {
  PairLayout layout = {};
  LogitRounding rounding = LogitRounding::kNone;
  // Null: none. One that looks across rows shares no contexts: it sees an input as a whole.
  const ModelPruning* pruning = nullptr;
  // Called with the number of pairs done; may throw to stop.
  std::function<void(int64_t)> progress = [](int64_t) {};
};

struct PairScore {
  double log_prob = 0.0;  // summed over the continuation's tokens
  bool greedy = true;     // each of them is the most probable one
  int64_t tokens = 0;     // of the continuation
  // The same from bf16 logits, where PairOptions::rounding asks for it: the tokens' bf16 log-probabilities
  // are summed in f32 and the sum is rounded to bf16 once, as PyTorch does it.
  double log_prob_bf16 = 0.0;
  bool greedy_bf16 = true;
};

struct PairScores {
  std::vector<PairScore> pairs;  // in the order given
  int64_t cut_contexts = 0;      // pairs whose context lost tokens on the left
};

// Throws Error(kData) when a continuation is longer than the model's context.
[[nodiscard]] PairScores score_pairs(const Weights& weights, std::span<const TokenPair> pairs,
                                     const PairOptions& options, Memory& memory, Stream& stream);

// The score of a pair whose continuation's tokens have these.
[[nodiscard]] PairScore sum_of(std::span<const TokenScore> tokens);

}  // namespace orthant::models
