// How a count is dealt over parts: contiguous, in order, sizes differing by at most one.
#pragma once

#include <algorithm>
#include <cstdint>

namespace orthant {

struct Share {
  int64_t first = 0;
  int64_t count = 0;
  [[nodiscard]] int64_t end() const { return first + count; }
};

// What part `index` of `parts` owns of [0, total); the first total % parts parts hold one more.
[[nodiscard]] constexpr Share share_of(int64_t total, int64_t parts, int64_t index) {
  const int64_t base = total / parts;
  const int64_t extra = total % parts;
  return {index * base + std::min(index, extra), base + (index < extra ? 1 : 0)};
}

// The part that owns `element`.
[[nodiscard]] constexpr int64_t owner_of(int64_t total, int64_t parts, int64_t element) {
  const int64_t base = total / parts;
  const int64_t extra = total % parts;
  const int64_t in_larger = extra * (base + 1);
  return element < in_larger ? element / (base + 1) : extra + (element - in_larger) / base;
}

}  // namespace orthant
