#include "runtime/core/rng.h"

#include <cmath>
#include <numbers>

namespace orthant {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
  constexpr uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = kMultiplier0 * counter[0];
    const uint64_t product1 = kMultiplier1 * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

std::array<uint32_t, 4> random_words(uint64_t seed, Purpose purpose, uint32_t step, uint64_t index) {
  return philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), step,
                 static_cast<uint32_t>(purpose)},
                {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
}

uint64_t random_u64(uint64_t seed, Purpose purpose, uint32_t step, uint64_t index) {
  const auto words = random_words(seed, purpose, step, index);
  return (static_cast<uint64_t>(words[1]) << 32) | words[0];
}

float random_uniform(uint64_t seed, Purpose purpose, uint32_t step, uint64_t index) {
  return static_cast<float>(random_words(seed, purpose, step, index)[0] >> 8) * 0x1p-24f;
}

float random_normal(uint64_t seed, Purpose purpose, uint32_t step, uint64_t index) {
  const auto words = random_words(seed, purpose, step, index);
  const double radius_uniform = (static_cast<double>(words[0]) + 1.0) * 0x1p-32;  // (0, 1]: the log is finite
  const double angle_uniform = static_cast<double>(words[1]) * 0x1p-32;
  return static_cast<float>(std::sqrt(-2.0 * std::log(radius_uniform)) *
                            std::cos(2.0 * std::numbers::pi * angle_uniform));
}

}  // namespace orthant
