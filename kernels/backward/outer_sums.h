// Sums over rows of products of columns: the gradients of weights and of what is done to the outputs of a
// layer. CPU.
//
// Every sum is one chain over ascending rows, so threads and instruction sets change no bits. Thread-safe for
// distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// into[m, n] += sum over rows r of a[r, m] * b[r, n], f32 with fused multiply-adds. `a` [rows, m], `b` [rows,
// n]; `turned` [m, rows] is scratch.
void add_outer_sums(Matrix<const float> a, Matrix<const float> b, Matrix<float> turned, Matrix<float> into,
                    Stream& stream);

// into[c] += sum over r of factor * x[r, c], in f64 and rounded once.
void add_column_sums(Matrix<const float> x, float factor, Vector<float> into, Stream& stream);

// into[c] += sum over r of factors[r] * a[r, c] * b[r, c], in f64 and rounded once; `factors` [rows] may be
// empty: 1.
void add_column_products(Matrix<const float> a, Matrix<const float> b, Vector<const float> factors,
                         Vector<float> into, Stream& stream);

}  // namespace orthant::kernels
