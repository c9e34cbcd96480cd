#include "kernels/neighbour/pair_gradients.h"

#include <algorithm>

#include "kernels/isa/vector.h"
#include "kernels/neighbour/pair_gradients_cuda.h"

namespace orthant::kernels {
namespace {

constexpr double kSmallestNorm = 1e-8;

void gradient_of_row(Matrix<const float> unit, Vector<const float> norms, Matrix<const float> visiting,
                     const PairList& pairs, double share, int64_t entry, Matrix<float> gradient) {
  const VectorOps& ops = vector_ops();
  const int64_t width = unit.shape[1], own = pairs.rows.data[entry];
  float* const row = gradient.row(own);
  std::fill_n(row, width, 0.0f);
  const double scale = share / std::max(static_cast<double>(norms.data[own]), kSmallestNorm);
  double along = 0.0;
  for (int64_t p = pairs.offsets.data[entry]; p < pairs.offsets.data[entry + 1]; ++p) {
    const int32_t other = pairs.others.data[p];
    const double s = pairs.cosines.data[p];
    ops.axpy(static_cast<float>(scale * s), other >= 0 ? unit.row(other) : visiting.row(~other), row, width);
    along += scale * s * s;
  }
  ops.axpy(static_cast<float>(-along), unit.row(own), row, width);
}

}  // namespace

void pair_gradients(Matrix<const float> unit, Vector<const float> norms, Matrix<const float> visiting,
                    const PairList& pairs, double share, Matrix<float> gradient, Stream& stream) {
  const int64_t entries = pairs.rows.shape[0];
  require(gradient.shape == unit.shape && norms.shape[0] == unit.shape[0],
          "gradients and norms have the shape of the unit rows");
  require(pairs.offsets.shape[0] == entries + 1, "pairs have offsets for every row");
  if (unit.device.kind == DeviceKind::kCuda) {
    return cuda::pair_gradients(unit, norms, visiting, pairs, share, gradient, stream);
  }
#pragma omp parallel for schedule(dynamic, 16)
  for (int64_t i = 0; i < entries; ++i) {
    gradient_of_row(unit, norms, visiting, pairs, share, i, gradient);
  }
}

}  // namespace orthant::kernels
