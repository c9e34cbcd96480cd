// Sums in parts, each in one order that depends on the shapes only: in sequence on the CPU, on CUDA by thread
// and then across the block. Not Collective.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// sums[p] = sum of values[offsets[p]] .. values[offsets[p + 1] - 1]: `offsets` [parts + 1] ascending, `sums`
// [parts].
void segment_sums(Vector<const double> values, Vector<const int64_t> offsets, Vector<double> sums,
                  Stream& stream);

// sum[c] = rows[0, c] + rows[1, c] + ..., in f32 and that order on every device.
void sum_of_rows(Matrix<const float> rows, Vector<float> sum, Stream& stream);

}  // namespace orthant::kernels
