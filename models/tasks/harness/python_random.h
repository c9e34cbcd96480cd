// Python's random.Random, as far as lm-evaluation-harness draws few-shot examples with it: the Mersenne
// Twister MT19937 (Matsumoto and Nishimura 1998) seeded by its init_by_array with the 32-bit digits of the
// seed, and the rejection of CPython's _randbelow. The draws are those of CPython 3.11. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace orthant::models {

class PythonRandom {
 public:
  explicit PythonRandom(uint64_t seed);

  // getrandbits(bits), 1 to 32 of them.
  [[nodiscard]] uint32_t random_bits(int bits);
  // Uniform in [0, count); 1 <= count < 2^32.
  [[nodiscard]] int64_t below(int64_t count);
  // sample(range(population), count): distinct, in the order drawn. Throws Error(kConfig) where `count` is
  // more than `population`.
  [[nodiscard]] std::vector<int64_t> sample(int64_t population, int64_t count);

 private:
  static constexpr size_t kWords = 624;
  void refill();

  std::array<uint32_t, kWords> state_{};
  size_t next_ = kWords;
};

}  // namespace orthant::models
