// What a direction of the residual stream says to the model's head: the tokens it makes most and least likely
// (direct logit attribution: the product with the head alone, no final norm). Not Collective; thread-safe on
// distinct memory.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/dense/gemm.h"
#include "runtime/device/tensor.h"

namespace orthant::models {

struct TokenLogit {
  int32_t token = 0;
  float logit = 0.0f;
};

struct DirectionLogits {
  std::vector<TokenLogit> largest;   // falling, ties to the lowest token
  std::vector<TokenLogit> smallest;  // rising
};

// Of each row of `directions` [count, d_model]: the `most` tokens of each kind, or all there are. `head`
// [vocabulary, d_model].
[[nodiscard]] std::vector<DirectionLogits> direction_logits(Matrix<const float> directions,
                                                            const kernels::PackedWeights& head, int64_t most,
                                                            Memory& memory);

}  // namespace orthant::models
