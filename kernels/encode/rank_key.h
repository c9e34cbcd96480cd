// One integer that orders the entries of a row: the larger rank is the larger key, of equal ranks the lower
// latent.
//
// Ranks are positive or NaN, whose bits sort above all numbers once the sign is cleared. Keys are not
// negative.
#pragma once

#include <bit>
#include <cstdint>

namespace orthant::kernels {

[[nodiscard]] inline int64_t rank_key(float rank, int64_t latent) {
  const uint32_t bits = std::bit_cast<uint32_t>(rank) & 0x7fffffffu;
  return (static_cast<int64_t>(bits) << 32) | (0xffffffffu - static_cast<uint32_t>(latent));
}
[[nodiscard]] inline float rank_of_key(int64_t key) {
  return std::bit_cast<float>(static_cast<uint32_t>(key >> 32));
}
[[nodiscard]] inline int64_t latent_of_key(int64_t key) {
  return 0xffffffffu - static_cast<uint32_t>(key);
}

}  // namespace orthant::kernels
