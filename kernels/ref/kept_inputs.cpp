#include "kernels/ref/kept_inputs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace orthant::kernels::ref {

std::vector<int32_t> kept_inputs(Vector<const float> x, int64_t keep, int64_t group) {
  const auto size = [&](int32_t i) {
    const double value = x.data[i];
    // Above infinity, which is not above itself.
    return std::isnan(value) ? std::pair(1, 0.0) : std::pair(0, std::abs(value));
  };
  std::vector<int32_t> kept;
  for (int64_t first = 0; first < x.shape[0]; first += group) {
    std::vector<int32_t> members(static_cast<size_t>(group));
    std::iota(members.begin(), members.end(), static_cast<int32_t>(first));
    std::stable_sort(members.begin(), members.end(), [&](int32_t a, int32_t b) { return size(a) > size(b); });
    members.resize(static_cast<size_t>(keep));
    std::sort(members.begin(), members.end());
    kept.insert(kept.end(), members.begin(), members.end());
  }
  return kept;
}

}  // namespace orthant::kernels::ref
