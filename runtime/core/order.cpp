#include "runtime/core/order.h"

#include <bit>

#include "runtime/core/error.h"

namespace orthant {
namespace {

// A strong 32-bit mixer: the Feistel round function.
uint32_t mix(uint32_t value, uint32_t key) {
  value ^= key;
  value ^= value >> 16;
  value *= 0x7feb352du;
  value ^= value >> 15;
  value *= 0x846ca68bu;
  value ^= value >> 16;
  return value;
}

}  // namespace

KeyedPermutation::KeyedPermutation(int64_t size, uint64_t seed, Purpose purpose, uint32_t round)
    : size_(size) {
  require(size >= 1, "a permutation has at least one element");
  const int bits = std::bit_width(static_cast<uint64_t>(size - 1));
  half_bits_ = static_cast<uint32_t>((bits + 1) / 2);
  const auto low = random_words(seed, purpose, round, 0);
  const auto high = random_words(seed, purpose, round, 1);
  for (int i = 0; i < 6; ++i) round_keys_[i] = i < 4 ? low[i] : high[i - 4];
}

uint64_t KeyedPermutation::encrypt(uint64_t value) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = value >> half_bits_;
  uint64_t right = value & mask;
  for (const uint32_t key : round_keys_) {
    const uint64_t next = left ^ (mix(static_cast<uint32_t>(right), key) & mask);
    left = right;
    right = next;
  }
  return (left << half_bits_) | right;
}

int64_t KeyedPermutation::operator()(int64_t position) const {
  if (size_ == 1) return 0;
  auto value = static_cast<uint64_t>(position);
  do {
    value = encrypt(value);
  } while (value >= static_cast<uint64_t>(size_));
  return static_cast<int64_t>(value);
}

}  // namespace orthant
