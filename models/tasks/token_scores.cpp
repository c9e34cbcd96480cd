#include "models/tasks/token_scores.h"

#include <algorithm>

namespace orthant::models {

TokenScorer::TokenScorer(const Weights& weights, RunLimits limits, Memory& memory, Stream& stream,
                         const ModelPruning* pruning)
    : weights_(weights),
      stream_(stream),
      pruning_(pruning),
      state_(memory, weights, limits),
      logits_(weights, memory) {
  if (pruning != nullptr) pruning_state_.emplace(memory, weights.config, limits, *pruning);
}

std::vector<TokenScore> TokenScorer::score(const TokenBatch& batch, std::span<const int64_t> rows,
                                           std::span<const int32_t> targets, std::span<const EditAt> edits) {
  require(rows.size() == targets.size(), "every scored row has a target");
  std::vector<TokenScore> scores;
  if (rows.empty()) return scores;
  const ForwardArgs args{.batch = batch,
                         .edits = edits,
                         .logit_rows = rows,
                         .pruning = pruning_,
                         .pruning_state = pruning_state_ ? &*pruning_state_ : nullptr};
  const auto hidden = forward(weights_, args, state_, stream_);
  for (int64_t first = 0; first < hidden.shape[0]; first += LogitBlock::kRows) {
    const int64_t count = std::min(LogitBlock::kRows, hidden.shape[0] - first);
    const auto wanted = targets.subspan(static_cast<size_t>(first), static_cast<size_t>(count));
    logits_.compute(hidden.rows(first, count), wanted, state_, stream_);
    for (int64_t row = 0; row < count; ++row) {
      scores.push_back(
          {logits_.target_log_prob(row), logits_.most_probable(row) == wanted[static_cast<size_t>(row)]});
    }
  }
  return scores;
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
