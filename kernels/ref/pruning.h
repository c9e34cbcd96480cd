// Double-precision references of kernels/pruning/*.h. Scores are f32 as the contract has them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/pruning/prune_rows.h"

namespace orthant::kernels::ref {

// Whether each survives: by a stable sort of each group; group 0: all are one.
[[nodiscard]] std::vector<bool> survivors(std::span<const float> scores, PrunePattern pattern);

struct PrunedRow {
  std::vector<double> kept, rest;  // [width]
  double center = 0.0;             // of kMedian and kMean
  double factor = 1.0;
};
// `gains` and `given_center` [width] or empty.
[[nodiscard]] PrunedRow pruned_row(std::span<const float> x, PrunePattern pattern,
                                   std::span<const float> gains, RowCenter center,
                                   std::span<const float> given_center);

}  // namespace orthant::kernels::ref
