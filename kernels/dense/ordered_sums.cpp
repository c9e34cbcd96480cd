#include "kernels/dense/ordered_sums.h"

#include <algorithm>

#include "kernels/dense/rows_cuda.h"

namespace orthant::kernels {

void segment_sums(Vector<const double> values, Vector<const int64_t> offsets, Vector<double> sums,
                  Stream& stream) {
  require(offsets.shape[0] == sums.shape[0] + 1, "offsets of segments are [parts + 1]");
  if (values.device.kind == DeviceKind::kCuda) return cuda::segment_sums(values, offsets, sums, stream);
  for (int64_t p = 0; p < sums.shape[0]; ++p) {
    double sum = 0.0;
    for (int64_t i = offsets.data[p]; i < offsets.data[p + 1]; ++i) sum += values.data[i];
    sums.data[p] = sum;
  }
}

void sum_of_rows(Matrix<const float> rows, Vector<float> sum, Stream& stream) {
  require(sum.shape[0] == rows.shape[1], "the sum of rows is [columns]");
  if (rows.device.kind == DeviceKind::kCuda) return cuda::sum_of_rows(rows, sum, stream);
  for (int64_t c = 0; c < rows.shape[1]; ++c) {
    float total = 0.0f;
    for (int64_t r = 0; r < rows.shape[0]; ++r) total += rows.row(r)[c];
    sum.data[c] = total;
  }
}

void add_in_tree(Matrix<float> parts, Stream& stream) {
  if (parts.device.kind == DeviceKind::kCuda) return cuda::add_in_tree(parts, stream);
  const int64_t width = parts.shape[1];
  int64_t rows = parts.shape[0];
  while (rows > 1) {
    const int64_t pairs = rows / 2;
    for (int64_t pair = 0; pair < pairs; ++pair) {
      const float* const left = parts.row(2 * pair);
      const float* const right = left + width;
      float* const sum = parts.row(pair);
      for (int64_t i = 0; i < width; ++i) sum[i] = left[i] + right[i];
    }
    if (rows % 2 == 1) std::copy_n(parts.row(rows - 1), width, parts.row(pairs));
    rows = pairs + rows % 2;
  }
}

void copy_columns(Matrix<const float> from, int64_t first, Matrix<float> into, Stream& stream) {
  require(from.shape[0] == into.shape[0] && first + into.shape[1] <= from.shape[1],
          "the copied columns are there");
  if (from.device.kind == DeviceKind::kCuda) return cuda::copy_columns(from, first, into, stream);
  for (int64_t r = 0; r < into.shape[0]; ++r) {
    std::copy_n(from.row(r) + first, into.shape[1], into.row(r));
  }
}

}  // namespace orthant::kernels
