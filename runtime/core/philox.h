// Philox4x32-10 where CUDA kernels need it too: the words that random_words of rng.h gives. Thread-safe.
#pragma once

#include <stdint.h>

#include "runtime/core/host_device.h"

namespace orthant {

struct PhiloxWords {
  uint32_t of[4];
};

// Four words from a 128-bit counter and a 64-bit key.
ORTHANT_HOST_DEVICE inline PhiloxWords philox_words(PhiloxWords counter, uint32_t key0, uint32_t key1) {
  const uint64_t multiplier0 = 0xD2511F53u, multiplier1 = 0xCD9E8D57u;
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = multiplier0 * counter.of[0];
    const uint64_t product1 = multiplier1 * counter.of[2];
    counter = {{static_cast<uint32_t>(product1 >> 32) ^ counter.of[1] ^ key0, static_cast<uint32_t>(product1),
                static_cast<uint32_t>(product0 >> 32) ^ counter.of[3] ^ key1,
                static_cast<uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// `purpose` is one of rng.h's.
ORTHANT_HOST_DEVICE inline PhiloxWords philox_words(uint64_t seed, uint32_t purpose, uint32_t step,
                                                    uint64_t index) {
  return philox_words({{static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), step, purpose}},
                      static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}

}  // namespace orthant
