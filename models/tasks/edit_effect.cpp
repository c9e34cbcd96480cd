#include "models/tasks/edit_effect.h"

#include <algorithm>

#include "kernels/transformer/log_softmax.h"

namespace orthant::models {
namespace {

std::vector<int64_t> scored_rows(const TokenBatch& batch) {
  std::vector<int64_t> rows;
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const auto index = static_cast<size_t>(s);
    for (int64_t row = batch.offsets[index]; row + 1 < batch.offsets[index + 1]; ++row) rows.push_back(row);
  }
  return rows;
}

}  // namespace

EditMeter::EditMeter(const Weights& weights, RunLimits limits, int64_t edits, Memory& memory, Stream& stream)
    : weights_(weights),
      stream_(stream),
      state_(memory, weights.config, limits),
      hidden_(memory, "hidden", {1 + edits, limits.tokens, weights.config.d_model}),
      original_logits_(memory, "logits", {kLogitRows, weights.config.vocabulary}),
      edited_logits_(memory, "logits", {kLogitRows, weights.config.vocabulary}) {}

EditEffects EditMeter::measure(const TokenBatch& batch, HookPoint hook,
                               std::span<ResidualEdit* const> edits) {
  require(static_cast<int64_t>(edits.size()) < hidden_.shape()[0], "the meter has room for the edits");
  EditEffects effects{scored_rows(batch), {}, std::vector<EditEffect>(edits.size())};
  if (effects.rows.empty()) return effects;
  keep_hidden(batch, effects.rows, {}, 0);
  for (size_t e = 0; e < edits.size(); ++e) {
    const EditAt at{hook, edits[e]};
    keep_hidden(batch, effects.rows, {&at, 1}, static_cast<int64_t>(e) + 1);
  }
  const auto rows = static_cast<int64_t>(effects.rows.size());
  for (int64_t first = 0; first < rows; first += kLogitRows) {
    compare_block(batch, first, std::min(kLogitRows, rows - first), effects);
  }
  return effects;
}

void EditMeter::keep_hidden(const TokenBatch& batch, std::span<const int64_t> rows,
                            std::span<const EditAt> edits, int64_t index) {
  const auto hidden =
      forward(weights_, {.batch = batch, .edits = edits, .logit_rows = rows}, state_, stream_);
  std::copy_n(hidden.data, hidden.elements(), hidden_.view().row(index));
}

void EditMeter::compare_block(const TokenBatch& batch, int64_t first, int64_t count, EditEffects& effects) {
  double original_sums[kLogitRows];
  double edited_sums[kLogitRows];
  double divergence[kLogitRows];
  int32_t largest[kLogitRows];
  const int64_t width = weights_.config.d_model;
  const auto project = [&](int64_t index, const Matrix<float>& logits, double* sums) {
    const Matrix<const float> rows{hidden_.view().row(index) + first * width, {count, width}};
    project_logits(weights_, rows, logits, state_, stream_);
    kernels::log_normalizers(logits, {sums, {count}}, {largest, {count}}, stream_);
  };
  const auto append_nll = [&](const Matrix<float>& logits, const double* sums, std::vector<double>& nll) {
    for (int64_t i = 0; i < count; ++i) {
      const auto row = static_cast<size_t>(effects.rows[static_cast<size_t>(first + i)]);
      nll.push_back(sums[i] - static_cast<double>(logits.row(i)[batch.token_ids[row + 1]]));
    }
  };
  const Matrix<float> original = original_logits_.view().rows(0, count);
  const Matrix<float> edited = edited_logits_.view().rows(0, count);
  project(0, original, original_sums);
  append_nll(original, original_sums, effects.original_nll);
  for (size_t e = 0; e < effects.edits.size(); ++e) {
    project(static_cast<int64_t>(e) + 1, edited, edited_sums);
    append_nll(edited, edited_sums, effects.edits[e].nll);
    kernels::kl_divergence(original, {original_sums, {count}}, edited, {edited_sums, {count}},
                           {divergence, {count}}, stream_);
    effects.edits[e].kl.insert(effects.edits[e].kl.end(), divergence, divergence + count);
  }
}

}  // namespace orthant::models
