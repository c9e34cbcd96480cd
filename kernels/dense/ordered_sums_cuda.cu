// A warp has one segment; of rows, a thread has one column.
#include "kernels/cuda/row.cuh"
#include "kernels/dense/rows_cuda.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kWarp)
    sum_segment(const double* values, const int64_t* offsets, double* sums) {
  const int64_t first = offsets[blockIdx.x];
  const double sum =
      warp_sum_in_order(0.0, offsets[blockIdx.x + 1] - first, [&](int64_t i) { return values[first + i]; });
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

// The thread's own column at every level, so there is nothing to wait for.
__global__ void __launch_bounds__(kThreads) add_column_in_tree(float* parts, int64_t rows, int64_t width) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (column >= width) return;
  while (rows > 1) {
    const int64_t pairs = rows / 2;
    for (int64_t pair = 0; pair < pairs; ++pair) {
      const float left = parts[2 * pair * width + column], right = parts[(2 * pair + 1) * width + column];
      parts[pair * width + column] = left + right;
    }
    if (rows % 2 == 1) parts[pairs * width + column] = parts[(rows - 1) * width + column];
    rows = pairs + rows % 2;
  }
}

__global__ void __launch_bounds__(kThreads)
    copy_column(const float* from, int64_t stride, int64_t rows, int64_t width, float* into) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < rows * width) into[i] = from[i / width * stride + i % width];
}

LaunchShape shape_of(int64_t elements) {
  return {.blocks = (elements + kThreads - 1) / kThreads, .threads = kThreads};
}

}  // namespace

void add_in_tree(Matrix<float> parts, Stream& stream) {
  launch(add_column_in_tree, shape_of(parts.shape[1]), stream, parts.data, parts.shape[0], parts.shape[1]);
}

void copy_columns(Matrix<const float> from, int64_t first, Matrix<float> into, Stream& stream) {
  launch(copy_column, shape_of(into.elements()), stream, from.data + first, from.shape[1], into.shape[0],
         into.shape[1], into.data);
}

void segment_sums(Vector<const double> values, Vector<const int64_t> offsets, Vector<double> sums,
                  Stream& stream) {
  launch(sum_segment, {.blocks = sums.shape[0], .threads = kWarp}, stream, values.data, offsets.data,
         sums.data);
}

void sum_of_rows(Matrix<const float> rows, Vector<float> sum, Stream& stream) {
  launch(sum_column, shape_of(rows.shape[1]), stream, rows.data, rows.shape[0], rows.shape[1], sum.data);
}

}  // namespace orthant::kernels::cuda
