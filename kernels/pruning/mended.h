// One element of mend_products.h as CUDA computes it, and where its vectors are. Thread-safe.
#pragma once

#include <math.h>

#include "kernels/pruning/mend_products.h"
#include "runtime/core/host_device.h"

namespace orthant::kernels {

struct MendingOf {
  const float *row_factors, *centers, *weight_sums, *column_factors, *column_offsets;  // null where empty

  explicit MendingOf(const Mending& mending)
      : row_factors(data_of(mending.row_factors)),
        centers(data_of(mending.centers)),
        weight_sums(data_of(mending.weight_sums)),
        column_factors(data_of(mending.column_factors)),
        column_offsets(data_of(mending.column_offsets)) {}

  [[nodiscard]] bool changes() const {
    return row_factors != nullptr || centers != nullptr || column_factors != nullptr ||
           column_offsets != nullptr;
  }
  ORTHANT_HOST_DEVICE float mended(int64_t row, int64_t output, float y) const {
    if (row_factors != nullptr) y = row_factors[row] * y;
    if (centers != nullptr) y = fmaf(centers[row], weight_sums[output], y);
    if (column_factors != nullptr) y = y * column_factors[output];
    if (column_offsets != nullptr) y = y + column_offsets[output];
    return y;
  }

 private:
  static const float* data_of(Vector<const float> vector) {
    return vector.shape[0] == 0 ? nullptr : vector.data;
  }
};

}  // namespace orthant::kernels
