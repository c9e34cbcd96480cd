// How much of a matrix of activations survives N:M pruning by magnitude. Thread-safe.
#pragma once

#include "runtime/device/tensor.h"

namespace orthant::kernels {

// Shares in [0, 1] of all elements' sums; 1 where there is nothing to lose.
struct RetainedEnergy {
  double squares;
  double magnitudes;
};

// `x` [rows, width], finite, on the CPU; the width is a multiple of `group`; 0 < keep <= group. With group =
// width it is unstructured pruning of each row.
[[nodiscard]] RetainedEnergy retained_energy(Matrix<const float> x, int64_t keep, int64_t group);

}  // namespace orthant::kernels
