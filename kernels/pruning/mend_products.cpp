#include "kernels/pruning/mend_products.h"

#include "kernels/pruning/mended.h"
#include "kernels/pruning/pruning_cuda.h"
#include "kernels/pruning/pruning_rows.h"

namespace orthant::kernels {

void mend_products(const Mending& mending, Matrix<float> y, Stream& stream) {
  const int64_t rows = y.shape[0], outputs = y.shape[1];
  const auto fits = [](int64_t length, int64_t wanted) { return length == 0 || length == wanted; };
  require(fits(mending.row_factors.shape[0], rows) && fits(mending.centers.shape[0], rows),
          "row factors and centers are [rows]");
  require(fits(mending.weight_sums.shape[0], outputs) && fits(mending.column_factors.shape[0], outputs) &&
              fits(mending.column_offsets.shape[0], outputs),
          "weight sums, column factors and offsets are [outputs]");
  require((mending.centers.shape[0] == 0) == (mending.weight_sums.shape[0] == 0) || rows == 0,
          "centers go with weight sums");
  if (y.device.kind == DeviceKind::kCuda) return cuda::mend_products(mending, y, stream);
  const MendingOf of(mending);
  if (!of.changes()) return;
#pragma omp parallel for schedule(static) if (y.elements() > 65536)
  for (int64_t row = 0; row < rows; ++row) {
    pruning_rows().mend({.factor = of.row_factors == nullptr ? nullptr : of.row_factors + row,
                         .center = of.centers == nullptr ? nullptr : of.centers + row,
                         .weight_sums = of.weight_sums,
                         .column_factors = of.column_factors,
                         .column_offsets = of.column_offsets},
                        y.row(row), outputs);
  }
}

}  // namespace orthant::kernels
