#include "models/tasks/pair_scoring.h"

#include <algorithm>

#include "kernels/dense/round_bf16.h"
#include "models/text/python_text.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

// Bytes of the text without the white space at its end.
size_t bytes_before_space(std::string_view text) {
  const std::string_view stripped = python_strip(text);
  return stripped.empty() ? 0 : static_cast<size_t>(stripped.data() - text.data()) + stripped.size();
}

}  // namespace

TokenPair encode_pair(const Tokenizer& tokenizer, std::string_view context, std::string_view continuation,
                      PairStart start) {
  const size_t end = bytes_before_space(context);
  const std::string head(context.substr(0, end));
  const std::string tail = std::string(context.substr(end)) + std::string(continuation);
  TokenPair pair{tokenizer.encode(head), tokenizer.encode(head + tail)};
  const size_t prefix = std::min(pair.context.size(), pair.continuation.size());
  pair.continuation.erase(pair.continuation.begin(),
                          pair.continuation.begin() + static_cast<int64_t>(prefix));
  const std::optional<int32_t> first = tokenizer.bos() ? tokenizer.bos() : tokenizer.eos();
  const bool adds_bos = start == PairStart::kAsTheModelAsks && tokenizer.adds_bos() && tokenizer.bos();
  if (first && (pair.context.empty() || adds_bos)) pair.context.insert(pair.context.begin(), *first);
  if (pair.context.empty() || pair.continuation.empty()) {
    throw Error(ExitCode::kData,
                {.problem = "a pair cannot be scored",
                 .why = pair.context.empty() ? "the context has no token" : "the continuation has no token",
                 .suggestion = "both texts must be non-empty"});
  }
  return pair;
}

PairScore sum_of(std::span<const TokenScore> tokens) {
  PairScore sum{.tokens = static_cast<int64_t>(tokens.size())};
  float rounded = 0.0f;
  for (const TokenScore& token : tokens) {
    sum.log_prob += token.log_prob;
    sum.greedy = sum.greedy && token.greedy;
    rounded += static_cast<float>(token.log_prob_bf16);
    sum.greedy_bf16 = sum.greedy_bf16 && token.greedy_bf16;
  }
  kernels::round_bf16({&rounded, 1});
  sum.log_prob_bf16 = static_cast<double>(rounded);
  return sum;
}

PairScores score_pairs(const Weights& weights, std::span<const TokenPair> pairs, const PairOptions& options,
                       Memory& memory, Stream& stream) {
  PairLayout layout = options.layout;
  if (options.pruning != nullptr && options.pruning->looks_across_rows()) layout.shares_contexts = false;
  const PairForwards plan = lay_out_pairs(pairs, weights.config.context_length, layout);
  PairScores scores{std::vector<PairScore>(pairs.size()), plan.cut_contexts};
  if (pairs.empty()) return scores;
  TokenScorer scorer(weights, limits_of(plan.forwards), memory, stream, options.rounding, options.pruning);
  int64_t done = 0;
  for (const PairForward& forward : plan.forwards) {
    const std::vector<TokenScore> found = scorer.score(forward.batch(), forward.rows, forward.targets);
    std::span<const TokenScore> left = found;
    for (const size_t pair : forward.pairs) {
      const size_t tokens = pairs[pair].continuation.size();
      scores.pairs[pair] = sum_of(left.first(tokens));
      left = left.subspan(tokens);
    }
    done += static_cast<int64_t>(forward.pairs.size());
    options.progress(done);
  }
  return scores;
}

}  // namespace orthant::models
