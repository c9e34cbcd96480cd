#include "models/tasks/token_scores.h"

#include <algorithm>
#include <map>

namespace orthant::models {

TokenScorer::TokenScorer(const Weights& weights, RunLimits limits, Memory& memory, Stream& stream,
                         LogitRounding rounding, const ModelPruning* pruning)
    : weights_(weights),
      stream_(stream),
      pruning_(pruning),
      state_(memory, weights, limits),
      logits_(weights, memory),
      rounding_(rounding) {
  if (pruning != nullptr) pruning_state_.emplace(memory, weights.config, limits, *pruning);
}

std::vector<TokenScore> TokenScorer::score(const TokenBatch& batch, std::span<const int64_t> rows,
                                           std::span<const int32_t> targets, std::span<const EditAt> edits) {
  require(rows.size() == targets.size(), "every scored row has a target");
  std::vector<TokenScore> scores(rows.size());
  if (rows.empty()) return scores;
  std::map<int64_t, Questions> asked;
  for (size_t i = 0; i < rows.size(); ++i) asked[rows[i]].push_back(i);
  std::vector<int64_t> distinct;
  std::vector<Questions> questions;
  for (const auto& [row, of_row] : asked) {
    distinct.push_back(row);
    questions.push_back(of_row);
  }
  const ForwardArgs args{.batch = batch,
                         .edits = edits,
                         .logit_rows = distinct,
                         .pruning = pruning_,
                         .pruning_state = pruning_state_ ? &*pruning_state_ : nullptr};
  const auto hidden = forward(weights_, args, state_, stream_);
  for (int64_t first = 0; first < hidden.shape[0]; first += LogitBlock::kRows) {
    const int64_t count = std::min(LogitBlock::kRows, hidden.shape[0] - first);
    score_block(
        hidden.rows(first, count),
        std::span<const Questions>(questions).subspan(static_cast<size_t>(first), static_cast<size_t>(count)),
        targets, scores);
  }
  return scores;
}

void TokenScorer::score_block(Matrix<const float> hidden, std::span<const Questions> questions,
                              std::span<const int32_t> targets, std::span<TokenScore> scores) {
  size_t rounds = 0;
  for (const Questions& of_row : questions) rounds = std::max(rounds, of_row.size());
  // The block answers one question a row at a time; a row without one more is asked for its first again.
  const auto asked_in = [&](size_t round) {
    std::vector<int32_t> tokens;
    for (const Questions& of_row : questions)
      tokens.push_back(targets[of_row[round < of_row.size() ? round : 0]]);
    return tokens;
  };
  const auto answer = [&](size_t round, auto&& take) {
    for (size_t row = 0; row < questions.size(); ++row) {
      if (round >= questions[row].size()) continue;
      const size_t question = questions[row][round];
      const auto at = static_cast<int64_t>(row);
      take(scores[question], logits_.target_log_prob(at), logits_.most_probable(at) == targets[question]);
    }
  };
  logits_.compute(hidden, asked_in(0), state_, stream_);
  for (size_t round = 0; round < rounds; ++round) {
    if (round > 0) logits_.choose(asked_in(round), stream_);
    answer(round, [](TokenScore& score, double log_prob, bool greedy) {
      score.log_prob = log_prob;
      score.greedy = greedy;
    });
  }
  if (rounding_ == LogitRounding::kNone) return;
  logits_.round_to_bf16(stream_);
  for (size_t round = 0; round < rounds; ++round) {
    logits_.choose(asked_in(round), stream_);
    answer(round, [](TokenScore& score, double log_prob, bool greedy) {
      score.log_prob_bf16 = log_prob;
      score.greedy_bf16 = greedy;
    });
  }
}

std::vector<int64_t> rows_with_next(const TokenBatch& batch) {
  std::vector<int64_t> rows;
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const auto index = static_cast<size_t>(s);
    for (int64_t row = batch.offsets[index]; row + 1 < batch.offsets[index + 1]; ++row) rows.push_back(row);
  }
  return rows;
}

void BatchBuilder::add(std::span<const int32_t> ids) {
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  offsets_.push_back(tokens());
}

void BatchBuilder::clear() {
  ids_.clear();
  offsets_.assign(1, 0);
}

}  // namespace orthant::models
