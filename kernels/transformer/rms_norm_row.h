// The CPU body of rms_norm for one row, for ops that make a normed row and use it at once. Thread-safe.
#pragma once

#include <cstdint>

namespace orthant::kernels {

// The bits of rms_norm (rms_norm.h). `x`, `weight`, `out` [width]; `out` may be `x`.
void rms_norm_row(const float* x, const float* weight, float epsilon, int64_t width, float* out);

}  // namespace orthant::kernels
