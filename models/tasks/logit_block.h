// Logits of a block of rows and what scores are made of: the log of each row's normaliser, its most probable
// token and the logit of one token that is asked for, and of others after that. The logits stay on the device
// of the weights; the few numbers of each row come to the host.
//
// One thread at a time.
#pragma once

#include <array>
#include <span>

#include "models/transformer/forward.h"

namespace orthant::models {

class LogitBlock {
 public:
  static constexpr int64_t kRows = 128;

  // `weights` outlives the object.
  LogitBlock(const Weights& weights, Memory& memory);

  // Of `hidden` [at most kRows, d_model], which forward() returned or is a part of it; targets[r] is the
  // token whose logit is wanted after row r.
  void compute(Matrix<const float> hidden, std::span<const int32_t> targets, RunState& state, Stream& stream);

  // Asks for other tokens after the rows of the last compute().
  void choose(std::span<const int32_t> targets, Stream& stream);
  // From now on all is as a model gives it whose logits are bf16 (kernels/transformer/log_softmax.h), until
  // the next compute(); choose() comes next.
  void round_to_bf16(Stream& stream);

  // Of the rows of the last compute().
  [[nodiscard]] double target_log_prob(int64_t row) const {
    const auto r = static_cast<size_t>(row);
    return static_cast<double>(target_logits_[r]) - log_sums_[r];
  }
  // Ties to the lowest token.
  [[nodiscard]] int32_t most_probable(int64_t row) const { return largest_[static_cast<size_t>(row)]; }
  // KL(p || q) of each row in nats, p of this block and q of `other`.
  void divergence_to(const LogitBlock& other, std::span<double> into, Stream& stream);

 private:
  const Weights& weights_;
  int64_t rows_ = 0;
  Tensor<float, 2> logits_;            // [kRows, vocabulary]
  Tensor<double, 1> log_sums_at_;      // [kRows]
  Tensor<double, 1> divergences_at_;   // [kRows]
  Tensor<int32_t, 1> largest_at_;      // [kRows]
  Tensor<int32_t, 1> targets_at_;      // [kRows]
  Tensor<float, 1> target_logits_at_;  // [kRows]
  std::array<double, kRows> log_sums_{};
  std::array<int32_t, kRows> largest_{};
  std::array<float, kRows> target_logits_{};
};

}  // namespace orthant::models
