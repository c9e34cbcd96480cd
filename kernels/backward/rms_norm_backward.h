// Gradient of kernels/transformer/rms_norm.h with respect to its input. CPU.
//
// Sums are f64 over ascending columns. A row's arithmetic does not depend on the other rows or on threads.
// Thread-safe for distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// into[r] += the gradient of x[r], where `gradient` is that of out = rms_norm(x): with g = gradient * weight
// and s = 1 / sqrt(mean of x^2 + epsilon) it is s g - s^3 x (g . x) / d_model. All [rows, d_model]; `weight`
// [d_model].
void rms_norm_backward(Matrix<const float> x, Vector<const float> weight, float epsilon,
                       Matrix<const float> gradient, Matrix<float> into, Stream& stream);

}  // namespace orthant::kernels
