// Sums in parts, each in one order that depends on the shapes only and is the same on every device. Not
// Collective.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// sums[p] = sum of values[offsets[p]] .. values[offsets[p + 1] - 1]: `offsets` [parts + 1] ascending, `sums`
// [parts].
void segment_sums(Vector<const double> values, Vector<const int64_t> offsets, Vector<double> sums,
                  Stream& stream);

// sum[c] = rows[0, c] + rows[1, c] + ..., in f32 and that order.
void sum_of_rows(Matrix<const float> rows, Vector<float> sum, Stream& stream);

// Adds the rows of `parts` pairwise, neighbours first, level by level; the last row of a level of odd length
// moves up unchanged. The sum is left in the first row, the others are overwritten.
void add_in_tree(Matrix<float> parts, Stream& stream);

// into[r, c] = from[r, first + c].
void copy_columns(Matrix<const float> from, int64_t first, Matrix<float> into, Stream& stream);

}  // namespace orthant::kernels
