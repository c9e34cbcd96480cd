// Small matrices for tests of kernels: owned data with views, filled from a seed, and a bitwise comparison.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::testing {

struct HostMatrix {
  std::vector<float> values;
  int64_t rows = 0, columns = 0;
  HostMatrix(int64_t row_count, int64_t column_count)
      : values(static_cast<size_t>(row_count * column_count)), rows(row_count), columns(column_count) {}
  [[nodiscard]] Matrix<float> view() { return {values.data(), {rows, columns}}; }
  [[nodiscard]] Matrix<const float> view() const { return {values.data(), {rows, columns}}; }
  [[nodiscard]] float& at(int64_t r, int64_t c) { return values[static_cast<size_t>(r * columns + c)]; }
  [[nodiscard]] float at(int64_t r, int64_t c) const { return values[static_cast<size_t>(r * columns + c)]; }
};

// Uniform in [-1, 1) by a linear congruential sequence.
inline HostMatrix random_matrix(int64_t rows, int64_t columns, uint32_t seed) {
  HostMatrix matrix(rows, columns);
  uint32_t state = seed * 2654435761u + 12345u;
  for (float& value : matrix.values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) / 8388608.0f - 1.0f;
  }
  return matrix;
}

// Names the first element whose bits differ.
inline ::testing::AssertionResult same_bits(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size())
    return ::testing::AssertionFailure() << a.size() << " elements against " << b.size();
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0) {
      return ::testing::AssertionFailure() << "element " << i << ": " << a[i] << " against " << b[i];
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace orthant::testing
