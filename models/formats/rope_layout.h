// Rotary embedding layouts: rotate-half pairs dimension i of a head with i + head_dim / 2, the interleaved
// layout of GGUF llama files and llama2.c pairs 2i with 2i + 1.
#pragma once

#include <cstdint>

namespace orthant::models {

// The row of an interleaved q or k projection that is row `row` in rotate-half layout.
[[nodiscard]] constexpr int64_t interleaved_row(int64_t row, int64_t head_dim) {
  const int64_t within = row % head_dim;
  const int64_t half = head_dim / 2;
  return row - within + 2 * (within % half) + within / half;
}

}  // namespace orthant::models
