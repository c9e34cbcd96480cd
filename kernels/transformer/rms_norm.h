// Root-mean-square normalisation of rows. A row's arithmetic does not depend on the other rows or on threads.
// Thread-safe for distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// out[r, c] = x[r, c] / sqrt(mean over c of x[r, c]^2 + epsilon) * weight[c]. The mean is formed in f64 from
// sums of 16 lanes. `x`, `out` [rows, d_model], `weight` [d_model]; `out` may be `x`.
void rms_norm(Matrix<const float> x, Vector<const float> weight, float epsilon, Matrix<float> out,
              Stream& stream);

}  // namespace orthant::kernels
