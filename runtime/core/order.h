// A keyed bijection of [0, size): sample order and latent partitions without state.
//
// Feistel network over the smallest even number of bits that holds `size`, with cycle walking. The same
// (seed, purpose, round) gives the same permutation on every rank and after every restart. Thread-safe.
#pragma once

#include <cstdint>

#include "runtime/core/rng.h"

namespace orthant {

class KeyedPermutation {
 public:
  // `round` is the epoch or step; size >= 1.
  KeyedPermutation(int64_t size, uint64_t seed, Purpose purpose, uint32_t round);
  [[nodiscard]] int64_t size() const { return size_; }
  // The image of `position` in [0, size).
  [[nodiscard]] int64_t operator()(int64_t position) const;

 private:
  [[nodiscard]] uint64_t encrypt(uint64_t value) const;
  int64_t size_;
  uint32_t half_bits_;
  uint32_t round_keys_[6];
};

}  // namespace orthant
