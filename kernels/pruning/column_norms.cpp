#include "kernels/pruning/column_norms.h"

#include <algorithm>
#include <cmath>

#include "kernels/pruning/peak_gain.h"
#include "kernels/pruning/pruning_cuda.h"

namespace orthant::kernels {
namespace {

void check(Matrix<const float> x, Vector<const int64_t> offsets, Matrix<float> out) {
  require(offsets.shape[0] == out.shape[0] + 1, "there is one row a sequence");
  require(out.shape[1] == x.shape[1], "there is one column a column");
}

constexpr int64_t kColumns = 64;  // of a task: their sums stay in registers or the first-level cache

// Calls work(sequence, first column, columns) for all, dealt to threads.
template <typename Work>
void for_column_blocks(Matrix<float> out, Work work) {
  const int64_t blocks = (out.shape[1] + kColumns - 1) / kColumns;
#pragma omp parallel for schedule(static)
  for (int64_t task = 0; task < out.shape[0] * blocks; ++task) {
    const int64_t first = task % blocks * kColumns;
    work(task / blocks, first, std::min(kColumns, out.shape[1] - first));
  }
}

}  // namespace

void column_norms(Matrix<const float> x, Vector<const int64_t> offsets, Matrix<float> norms, Stream& stream) {
  check(x, offsets, norms);
  if (x.device.kind == DeviceKind::kCuda) return cuda::column_norms(x, offsets, norms, stream);
  for_column_blocks(norms, [&](int64_t sequence, int64_t first, int64_t columns) {
    double squares[kColumns] = {};
    for (int64_t row = offsets.data[sequence]; row < offsets.data[sequence + 1]; ++row) {
      const float* const from = x.row(row) + first;
      for (int64_t c = 0; c < columns; ++c) squares[c] += static_cast<double>(from[c]) * from[c];
    }
    for (int64_t c = 0; c < columns; ++c)
      norms.row(sequence)[first + c] = static_cast<float>(std::sqrt(squares[c]));
  });
}

void column_peak_gains(Matrix<const float> x, Vector<const int64_t> offsets, Vector<const float> weight_peaks,
                       Matrix<float> gains, Stream& stream) {
  check(x, offsets, gains);
  require(weight_peaks.shape[0] == x.shape[1], "weight peaks are [width]");
  if (x.device.kind == DeviceKind::kCuda)
    return cuda::column_peak_gains(x, offsets, weight_peaks, gains, stream);
  for_column_blocks(gains, [&](int64_t sequence, int64_t first, int64_t columns) {
    float peaks[kColumns] = {};
    for (int64_t row = offsets.data[sequence]; row < offsets.data[sequence + 1]; ++row) {
      const float* const from = x.row(row) + first;
      for (int64_t c = 0; c < columns; ++c) peaks[c] = std::fmax(peaks[c], std::fabs(from[c]));
    }
    for (int64_t c = 0; c < columns; ++c)
      gains.row(sequence)[first + c] = peak_gain(peaks[c], weight_peaks.data[first + c]);
  });
}

}  // namespace orthant::kernels
