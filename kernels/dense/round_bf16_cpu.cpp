#include <bit>
#include <cstdint>

#include "kernels/dense/round_bf16.h"

namespace orthant::kernels {

void round_bf16(std::span<float> values) {
  // Without a branch and in 32 bits, so that the compiler makes vector code of it.
  for (float& value : values) {
    const auto bits = std::bit_cast<uint32_t>(value);
    const uint32_t nearest = bits + 0x7fffu + ((bits >> 16) & 1u);
    const bool is_nan = static_cast<int32_t>(bits & 0x7fffffffu) > 0x7f800000;
    // The quiet bit keeps a NaN whose other set bits are all cut off from becoming infinite.
    value = std::bit_cast<float>((is_nan ? bits | 0x400000u : nearest) & 0xffff0000u);
  }
}

}  // namespace orthant::kernels
