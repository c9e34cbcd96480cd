// Rows that are worked off together where codes are dense (ReLU early in training: half of all latents).
#pragma once

#include <algorithm>
#include <cstdint>

namespace orthant::sae {

// A pure function of the shape, so that every mesh forms the same blocks: at most 4 Mi activations of all
// latents.
[[nodiscard]] constexpr int64_t dense_block_rows(int64_t latents, int64_t rows) {
  constexpr int64_t kEntries = int64_t{4} << 20;
  return std::clamp<int64_t>(kEntries / latents, 1, std::max<int64_t>(rows, 1));
}

}  // namespace orthant::sae
