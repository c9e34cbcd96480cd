#include "models/tasks/edit_effect.h"

#include <algorithm>

#include "runtime/device/pinned_buffer.h"

namespace orthant::models {

EditMeter::EditMeter(const Weights& weights, RunLimits limits, int64_t edits, Memory& memory, Stream& stream)
    : weights_(weights),
      stream_(stream),
      state_(memory, weights, limits),
      hidden_(memory, "hidden", {1 + edits, limits.tokens, weights.config.d_model}),
      original_(weights, memory),
      edited_(weights, memory) {}

EditEffects EditMeter::measure(const TokenBatch& batch, HookPoint hook,
                               std::span<ResidualEdit* const> edits) {
  require(static_cast<int64_t>(edits.size()) < hidden_.shape()[0], "the meter has room for the edits");
  EditEffects effects{rows_with_next(batch), {}, std::vector<EditEffect>(edits.size())};
  if (effects.rows.empty()) return effects;
  keep_hidden(batch, effects.rows, {}, 0);
  for (size_t e = 0; e < edits.size(); ++e) {
    const EditAt at{hook, edits[e]};
    keep_hidden(batch, effects.rows, {&at, 1}, static_cast<int64_t>(e) + 1);
  }
  std::vector<int32_t> targets;
  for (const int64_t row : effects.rows) targets.push_back(batch.token_ids[static_cast<size_t>(row) + 1]);
  for (size_t first = 0; first < targets.size(); first += LogitBlock::kRows) {
    const size_t count = std::min<size_t>(LogitBlock::kRows, targets.size() - first);
    compare_block(static_cast<int64_t>(first), std::span(targets).subspan(first, count), effects);
  }
  return effects;
}

void EditMeter::keep_hidden(const TokenBatch& batch, std::span<const int64_t> rows,
                            std::span<const EditAt> edits, int64_t index) {
  const auto hidden =
      forward(weights_, {.batch = batch, .edits = edits, .logit_rows = rows}, state_, stream_);
  copy_in_order(hidden_.view().row(index), hidden.data, hidden.bytes(), stream_);
}

void EditMeter::project(int64_t index, int64_t first, std::span<const int32_t> targets, LogitBlock& into,
                        std::vector<double>& nll) {
  const int64_t width = weights_.config.d_model;
  const auto count = static_cast<int64_t>(targets.size());
  const View<float, 3> hidden = hidden_.view();
  into.compute({hidden.row(index) + first * width, {count, width}, hidden.device}, targets, state_, stream_);
  for (int64_t row = 0; row < count; ++row) nll.push_back(-into.target_log_prob(row));
}

void EditMeter::compare_block(int64_t first, std::span<const int32_t> targets, EditEffects& effects) {
  std::array<double, LogitBlock::kRows> divergence;
  const std::span<double> found = std::span(divergence).first(targets.size());
  project(0, first, targets, original_, effects.original_nll);
  for (size_t e = 0; e < effects.edits.size(); ++e) {
    EditEffect& effect = effects.edits[e];
    project(static_cast<int64_t>(e) + 1, first, targets, edited_, effect.nll);
    original_.divergence_to(edited_, found, stream_);
    effect.kl.insert(effect.kl.end(), found.begin(), found.end());
  }
}

}  // namespace orthant::models
