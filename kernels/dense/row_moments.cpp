#include "kernels/dense/row_moments.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "kernels/dense/rows_cuda.h"
#include "kernels/isa/vector.h"

namespace orthant::kernels {
namespace {

// Below this, waking the threads costs more than squares.
constexpr int64_t kFewElements = 65536;

bool is_on_cuda(Device device) {
  return device.kind == DeviceKind::kCuda;
}

template <typename T>
void norms_of_rows(Matrix<const float> matrix, Vector<T> norms, int64_t parts) {
  const int64_t width = matrix.shape[1] / parts;
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < matrix.shape[0]; ++r) {
    double sum = 0.0;
    for (int64_t part = 0; part < parts; ++part) {
      const float* const row = matrix.row(r) + part * width;
      double squares = 0.0;
      for (int64_t c = 0; c < width; ++c) squares += static_cast<double>(row[c]) * row[c];
      sum += std::sqrt(squares);
    }
    norms.data[r] = static_cast<T>(sum);
  }
}

void check_norms(Matrix<const float> matrix, int64_t norms, int64_t parts) {
  require(norms == matrix.shape[0], "norms are [rows]");
  require(parts > 0 && matrix.shape[1] % parts == 0, "the parts of a row have equal width");
}

void standardize_row(RowStandard standard, std::span<float> row, float& mean, float& deviation) {
  const double width = static_cast<double>(row.size());
  double sum = 0.0;
  if (standard == RowStandard::kLayerNorm) {
    for (const float value : row) sum += value;
  }
  const double center = sum / width;
  double squares = 0.0;
  for (const float value : row) squares += (value - center) * (value - center);
  const double spread = standard == RowStandard::kLayerNorm
                            ? std::sqrt(squares / std::max(1.0, width - 1.0)) + 1e-5
                            : std::max(std::sqrt(squares / width), 1e-12);
  mean = static_cast<float>(center);
  deviation = static_cast<float>(spread);
  for (float& value : row) value = (value - mean) / deviation;
}

}  // namespace

void row_norms(Matrix<const float> matrix, Vector<double> norms, Stream& stream, int64_t parts) {
  check_norms(matrix, norms.shape[0], parts);
  if (is_on_cuda(matrix.device)) return cuda::row_norms(matrix, norms, stream, parts);
  norms_of_rows(matrix, norms, parts);
}

void row_norms(Matrix<const float> matrix, Vector<float> norms, Stream& stream, int64_t parts) {
  check_norms(matrix, norms.shape[0], parts);
  if (is_on_cuda(matrix.device)) return cuda::row_norms(matrix, norms, stream, parts);
  norms_of_rows(matrix, norms, parts);
}

void squared_norms(Matrix<const float> x, Vector<float> squares, Stream& stream) {
  require(squares.shape[0] == x.shape[0], "squared norms are [rows]");
  if (is_on_cuda(x.device)) return cuda::squared_norms(x, squares, stream);
#pragma omp parallel for schedule(static) if (x.elements() > kFewElements)
  for (int64_t r = 0; r < x.shape[0]; ++r) {
    squares.data[r] = vector_ops().squared_norm(x.row(r), x.shape[1]);
  }
}

void squared_distances(Matrix<const float> x, Vector<const double> sums, double rows,
                       Vector<double> distances, Stream& stream) {
  require(sums.shape[0] == x.shape[1], "sums of distances are [columns]");
  require(distances.shape[0] == x.shape[0], "distances are [rows]");
  if (is_on_cuda(x.device)) return cuda::squared_distances(x, sums, rows, distances, stream);
#pragma omp parallel for
  for (int64_t r = 0; r < x.shape[0]; ++r) {
    double squares = 0.0;
    for (int64_t c = 0; c < x.shape[1]; ++c) {
      const double centred = x.row(r)[c] - sums.data[c] / rows;
      squares += centred * centred;
    }
    distances.data[r] = squares;
  }
}

void standardize_rows(RowStandard standard, Matrix<float> x, Vector<float> mean, Vector<float> deviation,
                      Stream& stream) {
  require(mean.shape[0] >= x.shape[0] && deviation.shape[0] >= x.shape[0], "mean and deviation are [rows]");
  if (is_on_cuda(x.device)) return cuda::standardize_rows(standard, x, mean, deviation, stream);
#pragma omp parallel for
  for (int64_t r = 0; r < x.shape[0]; ++r) {
    standardize_row(standard, {x.row(r), static_cast<size_t>(x.shape[1])}, mean.data[r], deviation.data[r]);
  }
}

void restore_rows(Vector<const float> mean, Vector<const float> deviation, Matrix<float> x, Stream& stream) {
  require(mean.shape[0] >= x.shape[0] && deviation.shape[0] >= x.shape[0], "mean and deviation are [rows]");
  if (is_on_cuda(x.device)) return cuda::restore_rows(mean, deviation, x, stream);
#pragma omp parallel for
  for (int64_t r = 0; r < x.shape[0]; ++r) {
    float* const row = x.row(r);
    for (int64_t c = 0; c < x.shape[1]; ++c) row[c] = row[c] * deviation.data[r] + mean.data[r];
  }
}

}  // namespace orthant::kernels
