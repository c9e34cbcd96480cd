// What is added to rows, and the sum of their squares. A row's arithmetic does not depend on the other rows
// or on threads. Thread-safe for distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// into += from, element by element. Both [rows, width].
void add_rows(Matrix<const float> from, Matrix<float> into, Stream& stream);

// Adds `bias` [width] to every row of `into` [rows, width].
void add_to_rows(Vector<const float> bias, Matrix<float> into, Stream& stream);

// squares[r] = |x[r]|^2, summed in f32 on the CPU; on CUDA the threads' sums are added in f64. `x`
// [rows, width], `squares` [rows].
void squared_norms(Matrix<const float> x, Vector<float> squares, Stream& stream);

}  // namespace orthant::kernels
