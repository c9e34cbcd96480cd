#include "kernels/pruning/variance_factors.h"

#include "kernels/pruning/pruning_cuda.h"
#include "kernels/pruning/pruning_rows.h"
#include "kernels/pruning/row_variance.h"

namespace orthant::kernels {

void variance_factors(Matrix<const float> x, Matrix<const float> kept, Vector<float> factors,
                      Stream& stream) {
  const int64_t rows = x.shape[0], width = x.shape[1];
  require(kept.shape == x.shape && factors.shape[0] == rows, "every row has a factor");
  if (x.device.kind == DeviceKind::kCuda) return cuda::variance_factors(x, kept, factors, stream);
  const PruningRows& ops = pruning_rows();
#pragma omp parallel for schedule(static) if (x.elements() > 65536)
  for (int64_t row = 0; row < rows; ++row) {
    const RowSums before = ops.sums(x.row(row), width), after = ops.sums(kept.row(row), width);
    factors.data[row] = variance_factor(before.values, before.squares, after.values, after.squares, width);
  }
}

}  // namespace orthant::kernels
