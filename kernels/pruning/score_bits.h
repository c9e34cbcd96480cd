// Scores and values as integers that have their order. CPU and CUDA share them. Thread-safe.
#pragma once

#include "kernels/scalar.h"

namespace orthant::kernels {

// Of |x| * gain, gain >= 0: at least 0, a NaN above all.
ORTHANT_HOST_DEVICE inline int32_t score_bits(float x, float gain) {
  return static_cast<int32_t>(bits_of(x * gain) & 0x7fffffffu);
}

// Ascending with x; -0 below 0.
ORTHANT_HOST_DEVICE inline int32_t order_key(float x) {
  const auto bits = static_cast<int32_t>(bits_of(x));
  return bits ^ ((bits >> 31) & 0x7fffffff);
}

// The x of order_key(x).
ORTHANT_HOST_DEVICE inline float value_of_key(int32_t key) {
  return float_of(static_cast<uint32_t>(key ^ ((key >> 31) & 0x7fffffff)));
}

// The largest key that at least `nth` keys are not below, by its bits; count_from(key) is the number of keys
// not below `key`.
template <typename CountFrom>
ORTHANT_HOST_DEVICE int32_t nth_largest_key(int64_t nth, CountFrom count_from) {
  int32_t key = count_from(0) >= nth ? 0 : INT32_MIN;
  for (int bit = 30; bit >= 0; --bit) {
    const int32_t larger = key | (int32_t{1} << bit);
    if (count_from(larger) >= nth) key = larger;
  }
  return key;
}

}  // namespace orthant::kernels
