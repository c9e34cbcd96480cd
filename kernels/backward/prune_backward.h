// Gradient of kernels/pruning/prune_rows.h with respect to the rows that were pruned. CPU.
//
// The choice of what survives is a constant; an entry that is 0 counts as pruned. Sums are f64 over ascending
// columns. A row's arithmetic does not depend on the other rows or on threads. Thread-safe for distinct
// outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

struct PruneBackward {
  Matrix<const float> x;     // [rows, width] what was pruned
  Matrix<const float> kept;  // [rows, width] what survived, less its centre
  // [rows] the factor nu of each row, sqrt(Var(x) / max(Var(kept), 1e-9)), or empty: 1.
  Vector<const float> factors = {};
  Matrix<const float> gradient;  // [rows, width] of nu * kept
};

// kept_gradient = the gradient of what survived, 0 elsewhere: the negative of its sum over rows is that of a
// centre that was subtracted. into_x += the gradient of x: that, and what x gives through its variance.
// `kept_gradient` may be `gradient`.
void prune_backward(const PruneBackward& pruned, Matrix<float> kept_gradient, Matrix<float> into_x,
                    Stream& stream);

// into_x += `gradient` where `kept` is 0: of the rows that prune_rows() calls the rest.
void rest_backward(Matrix<const float> kept, Matrix<const float> gradient, Matrix<float> into_x,
                   Stream& stream);

}  // namespace orthant::kernels
