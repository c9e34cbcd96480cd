#include "kernels/dense/ordered_sums.h"

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

}  // namespace orthant::kernels
