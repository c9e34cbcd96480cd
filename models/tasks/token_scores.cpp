#include "models/tasks/token_scores.h"

#include <algorithm>

#include "kernels/transformer/log_softmax.h"

namespace orthant::models {

TokenScorer::TokenScorer(const Weights& weights, RunLimits limits, Memory& memory, Stream& stream)
    : weights_(weights),
      stream_(stream),
      state_(memory, weights.config, limits),
      logits_(memory, "logits", {kLogitRows, weights.config.vocabulary}) {}

std::vector<TokenScore> TokenScorer::score(const TokenBatch& batch, std::span<const int64_t> rows,
                                           std::span<const int32_t> targets, std::span<const EditAt> edits) {
  require(rows.size() == targets.size(), "every scored row has a target");
  std::vector<TokenScore> scores;
  if (rows.empty()) return scores;
  const auto hidden =
      forward(weights_, {.batch = batch, .edits = edits, .logit_rows = rows}, state_, stream_);
  double log_sums[kLogitRows];
  int32_t largest[kLogitRows];
  for (int64_t first = 0; first < hidden.shape[0]; first += kLogitRows) {
    const int64_t count = std::min(kLogitRows, hidden.shape[0] - first);
    const Matrix<float> logits = logits_.view().rows(0, count);
    project_logits(weights_, hidden.rows(first, count), logits, state_, stream_);
    kernels::log_normalizers(logits, {log_sums, {count}}, {largest, {count}}, stream_);
    for (int64_t row = 0; row < count; ++row) {
      const int32_t target = targets[static_cast<size_t>(first + row)];
      scores.push_back(
          {static_cast<double>(logits.row(row)[target]) - log_sums[row], largest[row] == target});
    }
  }
  return scores;
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
