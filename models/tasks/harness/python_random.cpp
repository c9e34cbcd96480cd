#include "models/tasks/harness/python_random.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <numeric>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

constexpr size_t kShift = 397;

uint32_t mixed(uint32_t word) {
  return word ^ word >> 30;
}

// Up to this many Python draws from a list that it shortens, beyond it until the number is a new one.
int64_t longest_list(int64_t count) {
  int64_t power = 1;
  while (power < count * 3) power *= 4;
  return count > 5 ? 21 + power : 21;
}

}  // namespace

PythonRandom::PythonRandom(uint64_t seed) {
  const std::array<uint32_t, 2> key = {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
  const size_t digits = key[1] != 0 ? 2 : 1;
  state_[0] = 19650218u;
  for (size_t i = 1; i < kWords; ++i) {
    state_[i] = 1812433253u * mixed(state_[i - 1]) + static_cast<uint32_t>(i);
  }
  size_t i = 1;
  const auto step = [&] {
    if (++i < kWords) return;
    state_[0] = state_[kWords - 1];
    i = 1;
  };
  for (size_t k = 0, digit = 0; k < kWords; ++k, digit = (digit + 1) % digits) {
    state_[i] = (state_[i] ^ mixed(state_[i - 1]) * 1664525u) + key[digit] + static_cast<uint32_t>(digit);
    step();
  }
  for (size_t k = 1; k < kWords; ++k) {
    state_[i] = (state_[i] ^ mixed(state_[i - 1]) * 1566083941u) - static_cast<uint32_t>(i);
    step();
  }
  state_[0] = 0x80000000u;
}

void PythonRandom::refill() {
  for (size_t i = 0; i < kWords; ++i) {
    const uint32_t joined = (state_[i] & 0x80000000u) | (state_[(i + 1) % kWords] & 0x7fffffffu);
    state_[i] = state_[(i + kShift) % kWords] ^ joined >> 1 ^ ((joined & 1u) != 0 ? 0x9908b0dfu : 0u);
  }
  next_ = 0;
}

uint32_t PythonRandom::random_bits(int bits) {
  if (next_ == kWords) refill();
  uint32_t word = state_[next_++];
  word ^= word >> 11;
  word ^= word << 7 & 0x9d2c5680u;
  word ^= word << 15 & 0xefc60000u;
  word ^= word >> 18;
  return word >> (32 - bits);
}

int64_t PythonRandom::below(int64_t count) {
  require(count >= 1 && count < int64_t{1} << 32, "a draw is among 1 to 2^32 - 1 numbers");
  const int bits = std::bit_width(static_cast<uint64_t>(count));
  int64_t drawn = random_bits(bits);
  while (drawn >= count) drawn = random_bits(bits);
  return drawn;
}

std::vector<int64_t> PythonRandom::sample(int64_t population, int64_t count) {
  if (count < 0 || count > population) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("{} examples cannot be drawn", count),
                                    .why = fmt::format("there are {}", population),
                                    .suggestion = "Draw fewer, or give more."});
  }
  std::vector<int64_t> drawn;
  if (population > longest_list(count)) {
    while (static_cast<int64_t>(drawn.size()) < count) {
      const int64_t number = below(population);
      if (std::find(drawn.begin(), drawn.end(), number) == drawn.end()) drawn.push_back(number);
    }
    return drawn;
  }
  std::vector<int64_t> left(static_cast<size_t>(population));
  std::iota(left.begin(), left.end(), 0);
  for (int64_t i = 0; i < count; ++i) {
    const auto place = static_cast<size_t>(below(population - i));
    drawn.push_back(left[place]);
    left[place] = left[static_cast<size_t>(population - i - 1)];
  }
  return drawn;
}

}  // namespace orthant::models
