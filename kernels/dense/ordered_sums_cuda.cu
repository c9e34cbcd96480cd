// A block has one segment; of rows, a thread has one column.
#include "kernels/cuda/row.cuh"
#include "kernels/dense/rows_cuda.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    sum_segment(const double* values, const int64_t* offsets, double* sums) {
  const int64_t end = offsets[blockIdx.x + 1];
  double sum = 0.0;
  for (int64_t i = offsets[blockIdx.x] + threadIdx.x; i < end; i += kThreads) sum += values[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads)
    sum_column(const float* matrix, int64_t rows, int64_t width, float* sum) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (column >= width) return;
  float total = 0.0f;
  for (int64_t r = 0; r < rows; ++r) total += matrix[r * width + column];
  sum[column] = total;
}

}  // namespace

void segment_sums(Vector<const double> values, Vector<const int64_t> offsets, Vector<double> sums,
                  Stream& stream) {
  launch(sum_segment, {.blocks = sums.shape[0], .threads = kThreads}, stream, values.data, offsets.data,
         sums.data);
}

void sum_of_rows(Matrix<const float> rows, Vector<float> sum, Stream& stream) {
  const int64_t width = rows.shape[1];
  launch(sum_column, {.blocks = (width + kThreads - 1) / kThreads, .threads = kThreads}, stream, rows.data,
         rows.shape[0], width, sum.data);
}

}  // namespace orthant::kernels::cuda
