// Sums and products of vectors and matrices element by element. Each element is rounded as it is written
// here, so a call has the same bits on every device. The operands of a call are on one device and do not
// overlap, except that an output may be an input. Not Collective.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// out[r, c] = x[r, c] + row[c]: `x`, `out` [rows, columns], `row` [columns].
void add_row(Matrix<const float> x, Vector<const float> row, Matrix<float> out, Stream& stream);
// out[r, c] = x[r, c] - row[c].
void subtract_row(Matrix<const float> x, Vector<const float> row, Matrix<float> out, Stream& stream);

// out = x.
void copy(Vector<const float> x, Vector<float> out, Stream& stream);
// into += x.
void add(Vector<const float> x, Vector<float> into, Stream& stream);
// out = a - b.
void subtract(Vector<const float> a, Vector<const float> b, Vector<float> out, Stream& stream);
// values *= factor.
void scale(float factor, Vector<float> values, Stream& stream);
// values /= divisor.
void divide(double divisor, Vector<double> values, Stream& stream);

// into += x rounded to f32; without `accumulate` into = x rounded.
void add_rounded(Vector<const double> x, bool accumulate, Vector<float> into, Stream& stream);
// out = x.
void widen(Vector<const float> x, Vector<double> out, Stream& stream);

// The elements of a matrix one after the other.
template <typename T>
[[nodiscard]] Vector<T> flat(Matrix<T> matrix) {
  return {matrix.data, {matrix.elements()}, matrix.device};
}

}  // namespace orthant::kernels
