// Which forwards score which pairs: model inputs, the beginnings they share, their order and their rows.
//
// Pure functions of token ids. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/transformer/forward.h"

namespace orthant::models {

struct TokenPair {
  std::vector<int32_t> context;
  std::vector<int32_t> continuation;
};

struct PairLayout {
  // What inputs begin with in common is a sequence of its own that they continue (TokenBatch::parents).
  bool shares_contexts = true;
  int64_t forward_tokens = 2048;  // rows of a forward that is not one input alone
  // Distinct inputs of a forward, composed as lm-eval-harness does; 0: as many as forward_tokens allows.
  int64_t batch = 0;
  // Inputs are continued on the right with token 0 to the longest of their forward, as lm-eval-harness does:
  // real rows, never scored. Not with shares_contexts.
  bool pads = false;
};

// One forward. Row rows[i] of it is asked for targets[i]; the continuations of `pairs` follow each other.
struct PairForward {
  std::vector<int32_t> token_ids = {};
  std::vector<int64_t> offsets = {0};
  std::vector<int64_t> parents = {};  // [sequences]
  std::vector<int64_t> rows = {};
  std::vector<int32_t> targets = {};
  std::vector<size_t> pairs = {};
  [[nodiscard]] TokenBatch batch() const { return {token_ids, offsets, parents}; }
};

struct PairForwards {
  std::vector<PairForward> forwards;
  int64_t cut_contexts = 0;  // pairs whose context lost tokens on the left
};

// Every pair is in one forward. Its input is the last `context_length` ids of context and continuation
// without the last id of all; pairs with the same ids but the last share one input. Inputs come by falling
// length, ties by their ids. Both texts of a pair have tokens. Throws Error(kData) when a continuation is
// longer than `context_length`.
[[nodiscard]] PairForwards lay_out_pairs(std::span<const TokenPair> pairs, int64_t context_length,
                                         const PairLayout& layout);

// Of all the forwards.
[[nodiscard]] RunLimits limits_of(std::span<const PairForward> forwards);

}  // namespace orthant::models
