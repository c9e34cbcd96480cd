// A block is one warp and has one row.
#include "kernels/cuda/row.cuh"
#include "kernels/dense/rows_cuda.h"

namespace orthant::kernels::cuda {
namespace {

LaunchShape shape_of(Matrix<const float> matrix) {
  return {.blocks = matrix.shape[0], .threads = kWarp};
}

// The sum over the columns of a row of of(column, value of the element) in their order, on every thread.
template <typename Of>
__device__ double sum_over_columns(const float* row, int64_t width, Of of) {
  return warp_sum_in_order(0.0, width, [&](int64_t c) { return of(c, static_cast<double>(row[c])); });
}

// `width` is that of a part.
template <typename T>
__global__ void norm_of_row(const float* matrix, int64_t parts, int64_t width, T* norms) {
  double sum = 0.0;
  for (int64_t part = 0; part < parts; ++part) {
    const double squares = sum_over_columns(matrix + (blockIdx.x * parts + part) * width, width,
                                            [](int64_t, double value) { return value * value; });
    sum += sqrt(squares);
  }
  if (threadIdx.x == 0) norms[blockIdx.x] = static_cast<T>(sum);
}

template <typename T>
void norms_of_rows(Matrix<const float> matrix, Vector<T> norms, int64_t parts, Stream& stream) {
  launch(norm_of_row<T>, shape_of(matrix), stream, matrix.data, parts, matrix.shape[1] / parts, norms.data);
}

template <bool kWhole>
__global__ void square_row(const float* x, int64_t width, float* squares) {
  const float* row = x + blockIdx.x * width;
  const float sum = half_warp_dot<kWhole>(row, row, width);
  if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}

__global__ void distance_of_row(const float* x, const double* sums, double rows, int64_t width,
                                double* distances) {
  const double squares = sum_over_columns(x + blockIdx.x * width, width, [=](int64_t column, double value) {
    const double centred = value - sums[column] / rows;
    return centred * centred;
  });
  if (threadIdx.x == 0) distances[blockIdx.x] = squares;
}

template <bool kWhole>
__global__ void standardize_row(bool is_layer_norm, int64_t width, float* x, float* means,
                                float* deviations) {
  float* const row = x + blockIdx.x * width;
  const double columns = static_cast<double>(width);
  double center = 0.0;
  if (is_layer_norm) {
    center = sum_over_columns(row, width, [](int64_t, double value) { return value; }) / columns;
  }
  const double squares = sum_over_columns(
      row, width, [=](int64_t, double value) { return (value - center) * (value - center); });
  const double root = sqrt(squares / columns);
  const double spread = is_layer_norm  ? sqrt(squares / (columns > 2.0 ? columns - 1.0 : 1.0)) + 1e-5
                        : root > 1e-12 ? root
                                       : 1e-12;
  const float mean = static_cast<float>(center), deviation = static_cast<float>(spread);
  for (int64_t c = first_column(); c < width; c = next_column(c)) {
    Four values = load_columns<kWhole>(row, c, width);
    for (int i = 0; i < 4; ++i) values.of[i] = (values.of[i] - mean) / deviation;
    store_columns<kWhole>(row, c, width, values);
  }
  if (threadIdx.x != 0) return;
  means[blockIdx.x] = mean;
  deviations[blockIdx.x] = deviation;
}

template <bool kWhole>
__global__ void restore_row(const float* means, const float* deviations, int64_t width, float* x) {
  float* const row = x + blockIdx.x * width;
  const float mean = means[blockIdx.x], deviation = deviations[blockIdx.x];
  for (int64_t c = first_column(); c < width; c = next_column(c)) {
    Four values = load_columns<kWhole>(row, c, width);
    for (int i = 0; i < 4; ++i) values.of[i] = values.of[i] * deviation + mean;
    store_columns<kWhole>(row, c, width, values);
  }
}

}  // namespace

void row_norms(Matrix<const float> matrix, Vector<double> norms, Stream& stream, int64_t parts) {
  norms_of_rows(matrix, norms, parts, stream);
}

void row_norms(Matrix<const float> matrix, Vector<float> norms, Stream& stream, int64_t parts) {
  norms_of_rows(matrix, norms, parts, stream);
}

void squared_norms(Matrix<const float> x, Vector<float> squares, Stream& stream) {
  const int64_t width = x.shape[1];
  launch(is_whole(width, x.data) ? square_row<true> : square_row<false>, shape_of(x), stream, x.data, width,
         squares.data);
}

void squared_distances(Matrix<const float> x, Vector<const double> sums, double rows,
                       Vector<double> distances, Stream& stream) {
  const int64_t width = x.shape[1];
  launch(distance_of_row, shape_of(x), stream, x.data, sums.data, rows, width, distances.data);
}

void standardize_rows(RowStandard standard, Matrix<float> x, Vector<float> mean, Vector<float> deviation,
                      Stream& stream) {
  const int64_t width = x.shape[1];
  launch(is_whole(width, x.data) ? standardize_row<true> : standardize_row<false>, shape_of(x), stream,
         standard == RowStandard::kLayerNorm, width, x.data, mean.data, deviation.data);
}

void restore_rows(Vector<const float> mean, Vector<const float> deviation, Matrix<float> x, Stream& stream) {
  const int64_t width = x.shape[1];
  launch(is_whole(width, x.data) ? restore_row<true> : restore_row<false>, shape_of(x), stream, mean.data,
         deviation.data, width, x.data);
}

}  // namespace orthant::kernels::cuda
