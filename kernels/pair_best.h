// What one thread found so far of the nearest neighbour of each row. Larger values win, then lower indices.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace orthant::kernels {

struct PairBest {
  static constexpr float kNone = -std::numeric_limits<float>::infinity();

  float* below;  // the largest threshold that equal values still pass
  float* values;
  int64_t* indices;

  void clear(int64_t rows) const {
    std::fill_n(below, rows, kNone);
    std::fill_n(values, rows, kNone);
    std::fill_n(indices, rows, int64_t{-1});
  }
  void offer(int64_t row, float value, int64_t index) const {
    const bool wins = value > values[row] || (value == values[row] && index < indices[row]);
    if (!wins) return;
    values[row] = value;
    indices[row] = index;
    expect(row, value);
  }
  // Some pair of the row has at least this value.
  void expect(int64_t row, float value) const {
    const float threshold = std::nextafter(value, kNone);
    if (threshold > below[row]) below[row] = threshold;
  }
};

}  // namespace orthant::kernels
