#include "kernels/isa/filter.h"
#include "kernels/isa/lanes.h"

namespace orthant::kernels {
namespace {

// The 16 bits of elements [first, first + 16), read by `get`.
template <bool kBias, bool kScale, bool kThresholds, typename Get>
ORTHANT_LANES_INLINE uint64_t bits_of(const FilterRow& row, int64_t first, Lanes threshold, Get get) {
  Lanes activation = get(row.products + first);
  if constexpr (kBias) activation = activation + get(row.bias + first);
  Lanes rank = activation;
  // A negative activation must not become a positive rank, nor a NaN a zero.
  if constexpr (kScale) rank = larger(broadcast(0.0f), activation) * get(row.scale + first);
  uint32_t bits = mask_not_at_most(rank, threshold);
  if constexpr (kThresholds) bits &= mask_not_at_most(activation, get(row.thresholds + first));
  return bits;
}

template <bool kBias, bool kScale, bool kThresholds>
void above_of(const FilterRow& row, uint64_t* words) {
  const Lanes threshold = broadcast(row.threshold);
  const auto whole = [](const float* from) { return load(from); };
  int64_t i = 0;
  for (; i + 64 <= row.count; i += 64) {
    uint64_t word = 0;
#pragma GCC unroll 4
    for (int64_t part = 0; part < 4; ++part) {
      word |= bits_of<kBias, kScale, kThresholds>(row, i + part * kLanes, threshold, whole)
              << (part * kLanes);
    }
    words[i / 64] = word;
  }
  if (i == row.count) return;
  uint64_t word = 0;
  for (int64_t j = i; j < row.count; j += kLanes) {
    const int64_t count = row.count - j < kLanes ? row.count - j : kLanes;
    const auto first = [count](const float* from) { return load_first(from, count); };
    const uint64_t bits = bits_of<kBias, kScale, kThresholds>(row, j, threshold, first);
    word |= (bits & ((1ull << count) - 1)) << (j - i);
  }
  words[i / 64] = word;
}

void above(const FilterRow& row, uint64_t* words) {
  const int which =
      (row.bias != nullptr ? 1 : 0) + (row.scale != nullptr ? 2 : 0) + (row.thresholds != nullptr ? 4 : 0);
  switch (which) {
    case 0:
      return above_of<false, false, false>(row, words);
    case 1:
      return above_of<true, false, false>(row, words);
    case 2:
      return above_of<false, true, false>(row, words);
    case 3:
      return above_of<true, true, false>(row, words);
    case 4:
      return above_of<false, false, true>(row, words);
    case 5:
      return above_of<true, false, true>(row, words);
    case 6:
      return above_of<false, true, true>(row, words);
    default:
      return above_of<true, true, true>(row, words);
  }
}

int64_t count_from(const int64_t* keys, int64_t count, int64_t bound) {
  int64_t reached = 0;
  for (int64_t i = 0; i < count; ++i) reached += keys[i] >= bound ? 1 : 0;
  return reached;
}

int64_t near_kth(const int64_t* keys, int64_t count, int64_t k) {
  constexpr int kProbes = 24;
  const int64_t enough = k + k / 8 + 4;
  int64_t low = keys[0], high = keys[0];
  for (int64_t i = 1; i < count; ++i) {
    low = keys[i] < low ? keys[i] : low;
    high = keys[i] > high ? keys[i] : high;
  }
  // At least k keys reach `low`, fewer than k reach `high` + 1.
  for (int probe = 0; probe < kProbes && low < high; ++probe) {
    const int64_t middle = low + (high - low + 1) / 2;
    const int64_t reached = count_from(keys, count, middle);
    if (reached < k) {
      high = middle - 1;
      continue;
    }
    low = middle;
    if (reached <= enough) break;
  }
  return low;
}

}  // namespace

namespace ORTHANT_ISA {

const FilterOps& filter_table() {
  static constexpr FilterOps kTable = {.above = above, .near_kth = near_kth};
  return kTable;
}

}  // namespace ORTHANT_ISA
}  // namespace orthant::kernels
