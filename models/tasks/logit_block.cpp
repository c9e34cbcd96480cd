#include "models/tasks/logit_block.h"

#include "kernels/transformer/log_softmax.h"
#include "runtime/device/pinned_buffer.h"

namespace orthant::models {
namespace {

template <typename T>
void to_host(Vector<T> there, T* here, Stream& stream) {
  copy_in_order(here, there.data, there.bytes(), stream);
}

}  // namespace

LogitBlock::LogitBlock(const Weights& weights, Memory& memory)
    : weights_(weights),
      logits_(memory, "logits", {kRows, weights.config.vocabulary}),
      log_sums_at_(memory, "logits", {kRows}),
      divergences_at_(memory, "logits", {kRows}),
      largest_at_(memory, "logits", {kRows}),
      targets_at_(memory, "logits", {kRows}),
      target_logits_at_(memory, "logits", {kRows}) {}

void LogitBlock::compute(Matrix<const float> hidden, std::span<const int32_t> targets, RunState& state,
                         Stream& stream) {
  rows_ = hidden.shape[0];
  require(rows_ <= kRows, "a block of logits holds the rows");
  const Matrix<float> logits = logits_.view().rows(0, rows_);
  const Vector<double> log_sums = log_sums_at_.view().rows(0, rows_);
  const Vector<int32_t> largest = largest_at_.view().rows(0, rows_);
  project_logits(weights_, hidden, logits, state, stream);
  kernels::log_normalizers(logits, log_sums, largest, stream);
  to_host(log_sums, log_sums_.data(), stream);
  to_host(largest, largest_.data(), stream);
  choose(targets, stream);
}

void LogitBlock::choose(std::span<const int32_t> targets, Stream& stream) {
  require(rows_ == static_cast<int64_t>(targets.size()), "every row has a target");
  const Vector<int32_t> chosen = targets_at_.view().rows(0, rows_);
  const Vector<float> target_logits = target_logits_at_.view().rows(0, rows_);
  copy_in_order(chosen.data, targets.data(), chosen.bytes(), stream);
  kernels::logits_of(logits_.view().rows(0, rows_), chosen, target_logits, stream);
  to_host(target_logits, target_logits_.data(), stream);
}

void LogitBlock::round_to_bf16(Stream& stream) {
  const Vector<int32_t> largest = largest_at_.view().rows(0, rows_);
  kernels::log_softmax_bf16(logits_.view().rows(0, rows_), log_sums_at_.view().rows(0, rows_), largest,
                            stream);
  to_host(largest, largest_.data(), stream);
  log_sums_.fill(0.0);  // the rows are log-probabilities now
}

void LogitBlock::divergence_to(const LogitBlock& other, std::span<double> into, Stream& stream) {
  require(rows_ == other.rows_ && rows_ == static_cast<int64_t>(into.size()),
          "two blocks of the same rows are compared");
  const Vector<double> divergences = divergences_at_.view().rows(0, rows_);
  kernels::kl_divergence(logits_.view().rows(0, rows_), log_sums_at_.view().rows(0, rows_),
                         other.logits_.view().rows(0, rows_), other.log_sums_at_.view().rows(0, rows_),
                         divergences, stream);
  to_host(divergences, into.data(), stream);
}

}  // namespace orthant::models
