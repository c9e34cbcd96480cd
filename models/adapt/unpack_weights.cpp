#include "models/adapt/unpack_weights.h"

#include <algorithm>

#include "runtime/core/error.h"

namespace orthant::models {

void unpack_transposed(const kernels::PackedWeights& weights, Matrix<float> into) {
  require(into.shape[0] == weights.depth() && into.shape[1] == weights.columns() && into.device == kCpu,
          "unpacked weights are [depth, columns] on the CPU");
  constexpr int64_t kPanel = kernels::PackedWeights::kPanel;
#pragma omp parallel for schedule(static)
  for (int64_t k = 0; k < weights.depth(); ++k) {
    for (int64_t p = 0; p < weights.panels(); ++p) {
      const int64_t columns = std::min(kPanel, weights.columns() - p * kPanel);
      std::copy_n(weights.panel(p) + k * kPanel, columns, into.row(k) + p * kPanel);
    }
  }
}

}  // namespace orthant::models
