// The pieces of a text that transforms are learned from. Pure functions of the seed. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace orthant::models {

// First tokens of `crops` pieces of `length` tokens of a text of `tokens`, uniform in [0, tokens - length -
// 1] as in the reference program, which draws them from another generator. Throws Error(kConfig) for a text
// too short.
[[nodiscard]] std::vector<int64_t> crop_starts(int64_t tokens, int64_t crops, int64_t length, uint64_t seed);

// 0 .. count - 1 in the random order of an epoch.
[[nodiscard]] std::vector<int64_t> crop_order(int64_t count, uint64_t seed, int64_t epoch);

}  // namespace orthant::models
