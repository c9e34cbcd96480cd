#include "models/tasks/model_divergence.h"

#include <algorithm>

namespace orthant::models {

DivergenceMeter::DivergenceMeter(const Weights& weights, const Weights& other, RunLimits limits,
                                 Memory& memory, Stream& stream)
    : stream_(stream), first_(weights, limits, memory), other_(other, limits, memory) {
  require(weights.config.vocabulary == other.config.vocabulary, "both models predict the same tokens");
}

TokenDivergences DivergenceMeter::measure(const TokenBatch& batch) {
  TokenDivergences found{.rows = rows_with_next(batch)};
  if (found.rows.empty()) return found;
  for (Model* const model : {&first_, &other_}) {
    model->hidden =
        forward(*model->weights, {.batch = batch, .logit_rows = found.rows}, model->state, stream_);
  }
  std::vector<int32_t> targets;
  for (const int64_t row : found.rows) targets.push_back(batch.token_ids[static_cast<size_t>(row) + 1]);
  std::array<double, LogitBlock::kRows> room;
  for (size_t first = 0; first < targets.size(); first += LogitBlock::kRows) {
    const size_t count = std::min<size_t>(LogitBlock::kRows, targets.size() - first);
    const auto block = std::span<const int32_t>(targets).subspan(first, count);
    const std::span<double> divergence = std::span(room).first(count);
    for (Model* const model : {&first_, &other_}) project(*model, static_cast<int64_t>(first), block);
    first_.logits.divergence_to(other_.logits, divergence, stream_);
    found.kl.insert(found.kl.end(), divergence.begin(), divergence.end());
    other_.logits.divergence_to(first_.logits, divergence, stream_);
    found.reverse_kl.insert(found.reverse_kl.end(), divergence.begin(), divergence.end());
    for (int64_t row = 0; row < static_cast<int64_t>(count); ++row) {
      found.nll.push_back(-first_.logits.target_log_prob(row));
      found.other_nll.push_back(-other_.logits.target_log_prob(row));
      found.agree.push_back(first_.logits.most_probable(row) == other_.logits.most_probable(row));
    }
  }
  return found;
}

void DivergenceMeter::project(Model& model, int64_t first, std::span<const int32_t> targets) {
  const int64_t width = model.weights->config.d_model;
  model.logits.compute(
      {model.hidden.data + first * width, {static_cast<int64_t>(targets.size()), width}, model.hidden.device},
      targets, model.state, stream_);
}

}  // namespace orthant::models
