// A block has one row of a matrix; of vectors, a thread has one element.
#include "kernels/cuda/row.cuh"
#include "kernels/dense/rows_cuda.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 256;

LaunchShape shape_of(int64_t elements) {
  return {.blocks = (elements + kThreads - 1) / kThreads, .threads = kThreads};
}

__device__ int64_t own_element() {
  return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
}

// out = x + sign * row, where the sign is 1 or -1.
template <bool kWhole>
__global__ void combine_row(const float* x, const float* row, float sign, int64_t width, float* out) {
  const int64_t at = blockIdx.x * width;
  for (int64_t c = first_column(); c < width; c = next_column(c)) {
    Four columns = load_columns<kWhole>(x + at, c, width);
    const Four other = load_columns<kWhole>(row, c, width);
    for (int i = 0; i < 4; ++i) columns.of[i] = columns.of[i] + sign * other.of[i];
    store_columns<kWhole>(out + at, c, width, columns);
  }
}

void combine_rows(Matrix<const float> x, Vector<const float> row, float sign, Matrix<float> out,
                  Stream& stream) {
  const int64_t width = x.shape[1];
  launch(is_whole(width, x.data, row.data, out.data) ? combine_row<true> : combine_row<false>,
         {.blocks = x.shape[0], .threads = row_threads(width)}, stream, x.data, row.data, sign, width,
         out.data);
}

__global__ void __launch_bounds__(kThreads) add_element(const float* x, int64_t elements, float* into) {
  const int64_t i = own_element();
  if (i < elements) into[i] += x[i];
}

__global__ void __launch_bounds__(kThreads)
    subtract_element(const float* a, const float* b, int64_t elements, float* out) {
  const int64_t i = own_element();
  if (i < elements) out[i] = a[i] - b[i];
}

__global__ void __launch_bounds__(kThreads) scale_element(float factor, int64_t elements, float* values) {
  const int64_t i = own_element();
  if (i < elements) values[i] *= factor;
}

__global__ void __launch_bounds__(kThreads) divide_element(double divisor, int64_t elements, double* values) {
  const int64_t i = own_element();
  if (i < elements) values[i] /= divisor;
}

__global__ void __launch_bounds__(kThreads)
    add_rounded_element(const double* x, bool accumulate, int64_t elements, float* into) {
  const int64_t i = own_element();
  if (i < elements) into[i] = (accumulate ? into[i] : 0.0f) + static_cast<float>(x[i]);
}

__global__ void __launch_bounds__(kThreads) widen_element(const float* x, int64_t elements, double* out) {
  const int64_t i = own_element();
  if (i < elements) out[i] = static_cast<double>(x[i]);
}

}  // namespace

void add_row(Matrix<const float> x, Vector<const float> row, Matrix<float> out, Stream& stream) {
  combine_rows(x, row, 1.0f, out, stream);
}

void subtract_row(Matrix<const float> x, Vector<const float> row, Matrix<float> out, Stream& stream) {
  combine_rows(x, row, -1.0f, out, stream);
}

void add(Vector<const float> x, Vector<float> into, Stream& stream) {
  launch(add_element, shape_of(x.shape[0]), stream, x.data, x.shape[0], into.data);
}

void subtract(Vector<const float> a, Vector<const float> b, Vector<float> out, Stream& stream) {
  launch(subtract_element, shape_of(a.shape[0]), stream, a.data, b.data, a.shape[0], out.data);
}

void scale(float factor, Vector<float> values, Stream& stream) {
  launch(scale_element, shape_of(values.shape[0]), stream, factor, values.shape[0], values.data);
}

void divide(double divisor, Vector<double> values, Stream& stream) {
  launch(divide_element, shape_of(values.shape[0]), stream, divisor, values.shape[0], values.data);
}

void add_rounded(Vector<const double> x, bool accumulate, Vector<float> into, Stream& stream) {
  launch(add_rounded_element, shape_of(x.shape[0]), stream, x.data, accumulate, x.shape[0], into.data);
}

void widen(Vector<const float> x, Vector<double> out, Stream& stream) {
  launch(widen_element, shape_of(x.shape[0]), stream, x.data, x.shape[0], out.data);
}

}  // namespace orthant::kernels::cuda
