// CUDA bodies of elementwise.h, row_moments.h and ordered_sums.h, called after their argument checks; without
// CUDA in the build they throw.
#pragma once

#include "kernels/dense/row_moments.h"
#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels::cuda {

void add_row(Matrix<const float> x, Vector<const float> row, Matrix<float> out, Stream& stream);
void subtract_row(Matrix<const float> x, Vector<const float> row, Matrix<float> out, Stream& stream);
void add(Vector<const float> x, Vector<float> into, Stream& stream);
void subtract(Vector<const float> a, Vector<const float> b, Vector<float> out, Stream& stream);
void scale(float factor, Vector<float> values, Stream& stream);
void divide(double divisor, Vector<double> values, Stream& stream);
void add_rounded(Vector<const double> x, bool accumulate, Vector<float> into, Stream& stream);
void widen(Vector<const float> x, Vector<double> out, Stream& stream);

void row_norms(Matrix<const float> matrix, Vector<double> norms, Stream& stream, int64_t parts = 1);
void row_norms(Matrix<const float> matrix, Vector<float> norms, Stream& stream, int64_t parts = 1);
void squared_norms(Matrix<const float> x, Vector<float> squares, Stream& stream);
void squared_distances(Matrix<const float> x, Vector<const double> sums, double rows,
                       Vector<double> distances, Stream& stream);
void standardize_rows(RowStandard standard, Matrix<float> x, Vector<float> mean, Vector<float> deviation,
                      Stream& stream);
void restore_rows(Vector<const float> mean, Vector<const float> deviation, Matrix<float> x, Stream& stream);

void add_in_tree(Matrix<float> parts, Stream& stream);
void copy_columns(Matrix<const float> from, int64_t first, Matrix<float> into, Stream& stream);
void segment_sums(Vector<const double> values, Vector<const int64_t> offsets, Vector<double> sums,
                  Stream& stream);
void sum_of_rows(Matrix<const float> rows, Vector<float> sum, Stream& stream);

}  // namespace orthant::kernels::cuda
