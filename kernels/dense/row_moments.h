// Lengths of rows, their distances from a mean row, and rows brought to a standard scale and back. Sums are
// f64 where nothing else is said and in the order of columns, with the same bits on every device. Not
// Collective.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// norms[r] = the sum of the norms of the `parts` parts of equal width that row r consists of; |matrix[r]| of
// one.
void row_norms(Matrix<const float> matrix, Vector<double> norms, Stream& stream, int64_t parts = 1);
// The same rounded to f32.
void row_norms(Matrix<const float> matrix, Vector<float> norms, Stream& stream, int64_t parts = 1);

// squares[r] = |x[r]|^2, summed in f32 in lanes, with the same bits on every device. `x` [rows, width],
// `squares` [rows].
void squared_norms(Matrix<const float> x, Vector<float> squares, Stream& stream);

// distances[r] = sum over c of (x[r, c] - sums[c] / rows)^2.
void squared_distances(Matrix<const float> x, Vector<const double> sums, double rows,
                       Vector<double> distances, Stream& stream);

enum class RowStandard {
  kLayerNorm,       // mean 0 and sample deviation 1: the mean, and the deviation plus 1e-5
  kUnitMeanSquare,  // mean square 1: 0, and the root of the mean square, at least 1e-12
};
// x[r] = (x[r] - mean[r]) / deviation[r], where both are stored.
void standardize_rows(RowStandard standard, Matrix<float> x, Vector<float> mean, Vector<float> deviation,
                      Stream& stream);
// The inverse: x[r] = x[r] * deviation[r] + mean[r].
void restore_rows(Vector<const float> mean, Vector<const float> deviation, Matrix<float> x, Stream& stream);

}  // namespace orthant::kernels
