// The next-token loss of a model's last residual rows, and its gradient with respect to them, through the
// head and the final norm, which are frozen. f32 on the CPU; bits do not depend on threads. Not thread-safe.
#pragma once

#include "models/transformer/weights.h"

namespace orthant::models {

class TokenLoss {
 public:
  // `weights` have a head and outlive the object; sequences have at most `tokens` tokens.
  TokenLoss(const Weights& weights, int64_t tokens, Memory& memory, Stream& stream);

  // The mean over the rows but the last of -log p(next token), in nats. `residual`, `gradient` [tokens,
  // d_model] after the last block; ids [tokens] of the sequence. At least 2 tokens.
  double backward(Matrix<const float> residual, std::span<const int32_t> ids, Matrix<float> gradient,
                  Stream& stream);

 private:
  const Weights& weights_;
  kernels::PackedWeights head_turned_;  // [d_model, vocabulary]
  Tensor<float, 2> hidden_;             // [tokens, d_model]
  Tensor<float, 2> hidden_gradient_;    // [tokens, d_model]
  Tensor<float, 2> logits_;             // [kRows, vocabulary]
  Tensor<double, 1> log_sums_;          // [kRows]
  Tensor<int32_t, 1> largest_;          // [kRows]
};

}  // namespace orthant::models
