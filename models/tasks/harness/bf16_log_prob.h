// The log-likelihood of a continuation as a bf16 model gives it to the harness: its log-softmax is stored in
// bf16, and torch adds those in f32 and rounds the sum once. Near -20 bf16 has steps of 0.125, so different
// choices often tie. Thread-safe.
#pragma once

#include <span>

#include "kernels/scalar.h"

namespace orthant::models {

// `log_probs` [tokens of the continuation], in f32.
[[nodiscard]] inline double bf16_log_prob(std::span<const float> log_probs) {
  float sum = 0.0f;
  for (const float log_prob : log_probs) sum += kernels::bf16_of(log_prob);
  return kernels::bf16_of(sum);
}

}  // namespace orthant::models
