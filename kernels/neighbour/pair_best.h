// What one thread found so far of the nearest neighbour of each row, and which pairs of a tile can better it.
// Larger values win, then lower indices. Each thread has its own.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/isa/filter.h"

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

inline constexpr int64_t kPairColumns = 256;  // candidates of a tile

// visit(i) for the candidates i of one tile, [count] products from candidate `first` on, that come after row
// `row` and whose pair with it may be the best of either.
template <typename Visit>
void each_promising_pair(const FilterOps& filter, const float* products, int64_t count, int64_t first,
                         int64_t row, const PairBest& best, const Visit& visit) {
  const int64_t skipped = row + 1 - first;  // these pairs belong to the other row, or are none
  if (skipped >= count) return;
  uint64_t of_row[kPairColumns / 64], of_candidates[kPairColumns / 64];
  FilterRow values = {.products = products,
                      .count = count,
                      .bias = nullptr,
                      .scale = nullptr,
                      .thresholds = nullptr,
                      .threshold = best.below[row]};
  filter.above(values, of_row);
  values.threshold = PairBest::kNone;
  values.thresholds = best.below + first;
  filter.above(values, of_candidates);
  for (int64_t w = std::max<int64_t>(0, skipped) / 64; w * 64 < count; ++w) {
    uint64_t word = of_row[w] | of_candidates[w];
    if (w * 64 < skipped) word &= ~uint64_t{0} << (skipped - w * 64);
    for (; word != 0; word &= word - 1) visit(w * 64 + std::countr_zero(word));
  }
}

}  // namespace orthant::kernels
