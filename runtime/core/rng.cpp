#include "runtime/core/rng.h"

#include <cmath>
#include <numbers>

#include "runtime/core/philox.h"

namespace orthant {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  const PhiloxWords words = philox_words({{counter[0], counter[1], counter[2], counter[3]}}, key[0], key[1]);
  return {words.of[0], words.of[1], words.of[2], words.of[3]};
}

std::array<uint32_t, 4> random_words(uint64_t seed, Purpose purpose, uint32_t step, uint64_t index) {
  const PhiloxWords words = philox_words(seed, static_cast<uint32_t>(purpose), step, index);
  return {words.of[0], words.of[1], words.of[2], words.of[3]};
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
