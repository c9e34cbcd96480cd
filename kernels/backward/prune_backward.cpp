#include "kernels/backward/prune_backward.h"

#include "kernels/dispatch.h"

namespace orthant::kernels {
namespace {

struct Moments {
  double mean = 0.0;
  double squares = 0.0;  // sum of squared distances from the mean
};

Moments moments_of(const float* row, int64_t width) {
  Moments moments;
  for (int64_t c = 0; c < width; ++c) moments.mean += row[c];
  moments.mean /= static_cast<double>(width);
  for (int64_t c = 0; c < width; ++c) {
    const double distance = row[c] - moments.mean;
    moments.squares += distance * distance;
  }
  return moments;
}

// nu = sqrt(Var(x) / Var(kept)), so that d nu = nu (x - mean) / ((n - 1) Var(x)) dx - the same of kept. Where
// the floor of Var(kept) holds or x does not vary, nu does not follow it.
struct VarianceSlopes {
  double of_x = 0.0;
  double of_kept = 0.0;
  double x_mean = 0.0;
  double kept_mean = 0.0;
};

VarianceSlopes variance_slopes(const PruneBackward& pruned, int64_t row) {
  constexpr double kSmallestVariance = 1e-9;
  const int64_t width = pruned.x.shape[1];
  const Moments x = moments_of(pruned.x.row(row), width);
  const Moments kept = moments_of(pruned.kept.row(row), width);
  double along = 0.0;  // gradient of nu
  for (int64_t c = 0; c < width; ++c) {
    along += static_cast<double>(pruned.gradient.row(row)[c]) * pruned.kept.row(row)[c];
  }
  along *= pruned.factors.data[row];
  const bool is_floored = kept.squares <= kSmallestVariance * static_cast<double>(width - 1);
  return {x.squares > 0.0 ? along / x.squares : 0.0, is_floored ? 0.0 : along / kept.squares, x.mean,
          kept.mean};
}

void backward_row(const PruneBackward& pruned, int64_t row, float* kept_gradient, float* into_x) {
  const int64_t width = pruned.x.shape[1];
  const bool varies = pruned.factors.shape[0] > 0;
  const VarianceSlopes slopes = varies ? variance_slopes(pruned, row) : VarianceSlopes{};
  const double factor = varies ? pruned.factors.data[row] : 1.0;
  const float *x = pruned.x.row(row), *kept = pruned.kept.row(row), *gradient = pruned.gradient.row(row);
  for (int64_t c = 0; c < width; ++c) {
    const double through = factor * gradient[c] - slopes.of_kept * (kept[c] - slopes.kept_mean);
    kept_gradient[c] = kept[c] != 0.0f ? static_cast<float>(through) : 0.0f;
    into_x[c] += kept_gradient[c] + static_cast<float>(slopes.of_x * (x[c] - slopes.x_mean));
  }
}

}  // namespace

void prune_backward(const PruneBackward& pruned, Matrix<float> kept_gradient, Matrix<float> into_x, Stream&) {
  const Matrix<const float> x = pruned.x;
  require(pruned.kept.shape == x.shape && pruned.gradient.shape == x.shape &&
              kept_gradient.shape == x.shape && into_x.shape == x.shape &&
              (pruned.factors.shape[0] == 0 || pruned.factors.shape[0] == x.shape[0]),
          "prune_backward shapes agree");
  if (x.device.kind == DeviceKind::kCuda) throw_no_body("prune_backward", x.device);
#pragma omp parallel for schedule(static) if (x.elements() > 16384)
  for (int64_t row = 0; row < x.shape[0]; ++row) {
    backward_row(pruned, row, kept_gradient.row(row), into_x.row(row));
  }
}

void rest_backward(Matrix<const float> kept, Matrix<const float> gradient, Matrix<float> into_x, Stream&) {
  require(gradient.shape == kept.shape && into_x.shape == kept.shape, "rest_backward shapes agree");
  if (kept.device.kind == DeviceKind::kCuda) throw_no_body("rest_backward", kept.device);
#pragma omp parallel for schedule(static) if (kept.elements() > 65536)
  for (int64_t i = 0; i < kept.elements(); ++i) {
    if (kept.data[i] == 0.0f) into_x.data[i] += gradient.data[i];
  }
}

}  // namespace orthant::kernels
