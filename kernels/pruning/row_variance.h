// The factor that gives a pruned row the variance it had (activation_sparsity 4, VAR). CPU and CUDA share it.
// Thread-safe.
#pragma once

#include <math.h>
#include <stdint.h>

#include "runtime/core/host_device.h"

namespace orthant::kernels {

// Unbiased, of `width` numbers by the sums of them and of their squares; 0 of a single one.
ORTHANT_HOST_DEVICE inline double variance_of(double sum, double squares, int64_t width) {
  if (width < 2) return 0.0;
  const double spread = squares - sum * (sum / static_cast<double>(width));
  return spread > 0.0 ? spread / static_cast<double>(width - 1) : 0.0;
}

// sqrt(Var(before) / max(Var(after), 1e-9)); 1 where nothing varies before.
ORTHANT_HOST_DEVICE inline float variance_factor(double sum_before, double squares_before, double sum_after,
                                                 double squares_after, int64_t width) {
  const double before = variance_of(sum_before, squares_before, width);
  const double after = variance_of(sum_after, squares_after, width);
  if (before == 0.0) return 1.0f;
  return static_cast<float>(sqrt(before / (after > 1e-9 ? after : 1e-9)));
}

}  // namespace orthant::kernels
