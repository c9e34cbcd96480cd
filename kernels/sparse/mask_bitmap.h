// Masks of N:M sparsity as bitmaps, and what other encodings would cost.
//
// Bit i % 8 of byte i / 8 tells whether element i is kept. One bit an element is what shipping 2:4 hardware
// spends, too; the enumerative code of 8:16 would save two bits of sixteen. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace orthant::kernels {

[[nodiscard]] constexpr int64_t mask_bytes(int64_t width) {
  return (width + 7) / 8;
}

// `kept`: distinct elements below `width`; `bitmap` [mask_bytes(width)].
void encode_mask(std::span<const int32_t> kept, int64_t width, std::span<uint8_t> bitmap);
// The kept elements in ascending order.
[[nodiscard]] std::vector<int32_t> decode_mask(std::span<const uint8_t> bitmap, int64_t width);

// Bits of a mask per element, kept or not.
struct MaskCost {
  double patterns;    // masks of one group: group over keep
  double entropy;     // log2(patterns) / group
  double whole_bits;  // the same where a group has a whole number of bits
  double bitmap;      // 1
  double indices;     // a number of ceil(log2(group)) bits for each kept element
};

// 0 < keep <= group <= 64.
[[nodiscard]] MaskCost mask_cost(int64_t keep, int64_t group);

}  // namespace orthant::kernels
