#include "kernels/transformer/rms_norm.h"

#include <algorithm>
#include <cmath>

#include "kernels/transformer/rms_norm_row.h"
#include "kernels/transformer/transformer_cuda.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kLanes = 16;

// f32 sums of at most kRun terms a lane, then f64: rows of massive activations keep their small terms.
double squared_norm(const float* x, int64_t width) {
  constexpr int64_t kRun = 64 * kLanes;
  double total = 0.0;
  for (int64_t begin = 0; begin < width; begin += kRun) {
    const int64_t end = std::min(begin + kRun, width);
    float lanes[kLanes] = {};
    int64_t column = begin;
    for (; column + kLanes <= end; column += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += x[column + lane] * x[column + lane];
    }
    for (int64_t lane = 0; column + lane < end; ++lane) lanes[lane] += x[column + lane] * x[column + lane];
    for (const float lane : lanes) total += lane;
  }
  return total;
}

}  // namespace

void rms_norm_row(const float* x, const float* weight, float epsilon, int64_t width, float* out) {
  const double mean = squared_norm(x, width) / static_cast<double>(width);
  const float scale = static_cast<float>(1.0 / std::sqrt(mean + static_cast<double>(epsilon)));
  for (int64_t column = 0; column < width; ++column) out[column] = x[column] * scale * weight[column];
}

void rms_norm(Matrix<const float> x, Vector<const float> weight, float epsilon, Matrix<float> out,
              Stream& stream) {
  const int64_t rows = x.shape[0];
  const int64_t width = x.shape[1];
  require(out.shape == x.shape && weight.shape[0] == width, "rms_norm shapes agree");
  if (x.device.kind == DeviceKind::kCuda) return cuda::rms_norm(x, weight, epsilon, out, stream);
#pragma omp parallel for schedule(static) if (rows * width > 65536)
  for (int64_t row = 0; row < rows; ++row) {
    rms_norm_row(x.row(row), weight.data, epsilon, width, out.row(row));
  }
}

}  // namespace orthant::kernels
