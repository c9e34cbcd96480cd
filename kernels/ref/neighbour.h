// Double-precision reference of the nearest neighbour and of the penalty of a pair. Thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::kernels::ref {

struct Neighbour {
  double cosine;
  int64_t index;  // -1: there is none
};

// Of each row of `queries`, the row of `candidates` with the largest cosine, except excluded[q]; ties to the
// lowest. Rows need not have unit norm.
[[nodiscard]] std::vector<Neighbour> nearest_neighbour(Matrix<const float> queries,
                                                       Matrix<const float> candidates,
                                                       const std::vector<int64_t>& excluded);

// cos(a, b)^2 of two rows.
[[nodiscard]] double squared_cosine(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace orthant::kernels::ref
