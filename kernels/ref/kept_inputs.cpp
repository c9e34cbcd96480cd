#include "kernels/ref/kept_inputs.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numeric>

namespace orthant::kernels::ref {

std::vector<int32_t> kept_inputs(Vector<const float> x, int64_t keep, int64_t group) {
  const auto size = [&](int32_t i) {
    const float value = x.data[i];
    // NaNs are above infinity, among themselves by their payload.
    return std::isnan(value) ? std::pair(1, static_cast<double>(std::bit_cast<uint32_t>(value) & 0x7fffffffu))
                             : std::pair(0, std::abs(static_cast<double>(value)));
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
