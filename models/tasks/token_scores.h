// Log-probabilities of chosen next tokens, with logits formed a block of rows at a time.
//
// A score depends on its own sequence alone, bit for bit. One thread; one task at a time.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "models/tasks/logit_block.h"

namespace orthant::models {

struct TokenScore {
  double log_prob = 0.0;  // natural logarithm
  bool greedy = false;    // the token is the most probable one, ties to the lowest
  // The same as a model gives it whose logits are bf16 (kernels/transformer/log_softmax.h), where it is asked
  // for.
  double log_prob_bf16 = 0.0;
  bool greedy_bf16 = false;
};

// Whether tokens are scored from the logits as they are, or in both ways of TokenScore.
enum class LogitRounding { kNone, kBf16Too };

class TokenScorer {
 public:
  // `weights` and `pruning` (null: none) outlive the object; `limits` as for RunState.
  TokenScorer(const Weights& weights, RunLimits limits, Memory& memory, Stream& stream,
              LogitRounding rounding = LogitRounding::kNone, const ModelPruning* pruning = nullptr);

  // How probable targets[i] is after row rows[i] of the batch. Rows may come in any order and again and
  // again: the logits of a row are formed once.
  [[nodiscard]] std::vector<TokenScore> score(const TokenBatch& batch, std::span<const int64_t> rows,
                                              std::span<const int32_t> targets,
                                              std::span<const EditAt> edits = {});

  [[nodiscard]] RunState& state() { return state_; }

 private:
  // Tokens that are asked for after one row, by their numbers in `targets`.
  using Questions = std::vector<size_t>;
  // `questions` [hidden rows].
  void score_block(Matrix<const float> hidden, std::span<const Questions> questions,
                   std::span<const int32_t> targets, std::span<TokenScore> scores);

  const Weights& weights_;
  Stream& stream_;
  const ModelPruning* pruning_;
  RunState state_;
  std::optional<PruningState> pruning_state_;
  LogitBlock logits_;
  LogitRounding rounding_;
};

// Rows of the batch that predict a next token: all but the last of each sequence.
[[nodiscard]] std::vector<int64_t> rows_with_next(const TokenBatch& batch);

// A batch of sequences end to end, built one by one.
class BatchBuilder {
 public:
  void add(std::span<const int32_t> ids);
  void clear();
  [[nodiscard]] TokenBatch batch() const { return {ids_, offsets_}; }
  [[nodiscard]] int64_t tokens() const { return static_cast<int64_t>(ids_.size()); }

 private:
  std::vector<int32_t> ids_;
  std::vector<int64_t> offsets_ = {0};
};

}  // namespace orthant::models
