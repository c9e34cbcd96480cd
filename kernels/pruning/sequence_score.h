// Scores of prune_sequences.h, on the CPU and on CUDA. Thread-safe.
#pragma once

#include <math.h>

#include "kernels/pruning/score_bits.h"

namespace orthant::kernels {

// Of the sum of a row's squares.
ORTHANT_HOST_DEVICE inline float row_norm_factor(double squares) {
  return static_cast<float>(1.0 / (sqrt(squares) + 1e-8));
}

ORTHANT_HOST_DEVICE inline int32_t sequence_score(float x, float row_factor, float gain) {
  return score_bits(x * row_factor, gain);
}

}  // namespace orthant::kernels
