#include "models/adapt/token_loss.h"

#include <algorithm>

#include "kernels/backward/rms_norm_backward.h"
#include "kernels/isa/vector.h"
#include "kernels/transformer/log_softmax.h"
#include "kernels/transformer/rms_norm.h"
#include "models/adapt/unpack_weights.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

// Rows whose logits are in memory at a time.
constexpr int64_t kRows = 64;

}  // namespace

TokenLoss::TokenLoss(const Weights& weights, int64_t tokens, Memory& memory, Stream& stream)
    : weights_(weights),
      head_turned_(memory, "backward", weights.config.d_model, weights.config.vocabulary),
      hidden_(memory, "backward", {tokens, weights.config.d_model}),
      hidden_gradient_(memory, "backward", {tokens, weights.config.d_model}),
      logits_(memory, "backward", {kRows, weights.config.vocabulary}),
      log_sums_(memory, "backward", {kRows}),
      largest_(memory, "backward", {kRows}) {
  require(weights.has_head(), "the head was loaded");
  Tensor<float, 2> turned(memory, "loading", {weights.config.d_model, weights.config.vocabulary});
  unpack_transposed(weights.head, turned.view());
  head_turned_.pack(turned.view(), stream);
}

double TokenLoss::backward(Matrix<const float> residual, std::span<const int32_t> ids, Matrix<float> gradient,
                           Stream& stream) {
  const int64_t tokens = residual.shape[0], scored = tokens - 1;
  require(scored >= 1 && static_cast<int64_t>(ids.size()) == tokens, "a sequence has a next token");
  const Vector<const float> norm = weights_.final_norm.view();
  const Matrix<float> hidden = hidden_.view().rows(0, tokens),
                      slopes = hidden_gradient_.view().rows(0, tokens);
  kernels::rms_norm(residual, norm, weights_.config.rms_epsilon, hidden, stream);
  hidden_gradient_.zero();
  const float share = 1.0f / static_cast<float>(scored);
  double loss = 0.0;
  for (int64_t first = 0; first < scored; first += kRows) {
    const int64_t rows = std::min(kRows, scored - first);
    const Matrix<float> logits = logits_.view().rows(0, rows);
    kernels::matmul_nt(hidden.rows(first, rows), weights_.head, logits, stream);
    kernels::log_normalizers(logits, log_sums_.view().rows(0, rows), largest_.view().rows(0, rows), stream);
    for (int64_t row = 0; row < rows; ++row) {
      loss += log_sums_.data()[row] - logits.row(row)[ids[static_cast<size_t>(first + row + 1)]];
    }
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; ++row) {
      float* const values = logits.row(row);
      const auto shift = static_cast<float>(log_sums_.data()[row]);
      (void)kernels::vector_ops().exp_and_sum(shift, values, logits.shape[1]);
      values[ids[static_cast<size_t>(first + row + 1)]] -= 1.0f;
      kernels::vector_ops().scale(share, values, logits.shape[1]);
    }
    kernels::matmul_nt(logits, head_turned_, slopes.rows(first, rows), stream);
  }
  std::fill_n(gradient.data, gradient.elements(), 0.0f);
  kernels::rms_norm_backward(residual, norm, weights_.config.rms_epsilon, slopes, gradient, stream);
  return loss / static_cast<double>(scored);
}

}  // namespace orthant::models
