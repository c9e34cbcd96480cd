// Uniform values in [-1, 1) from a seed.
#pragma once

#include <cstdint>
#include <vector>

namespace orthant::benchmarks {

[[nodiscard]] inline std::vector<float> random_values(int64_t count, uint32_t seed) {
  std::vector<float> values(static_cast<size_t>(count));
  uint32_t state = seed * 2654435761u + 12345u;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) / 8388608.0f - 1.0f;
  }
  return values;
}

}  // namespace orthant::benchmarks
