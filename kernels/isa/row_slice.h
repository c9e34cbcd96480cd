// Which entries of a row of codes belong to a slice of the latents: latents ascend in a row, so it is one
// range.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/codes/codes.h"

namespace orthant::kernels {

struct EntryRange {
  int64_t first = 0;
  int64_t last = 0;  // one past the end
  [[nodiscard]] int64_t count() const { return last - first; }
};

// Entries of row `row` whose latent lies in [first_latent, last_latent).
[[nodiscard]] inline EntryRange row_slice(const CodesView& codes, int64_t row, int64_t first_latent,
                                          int64_t last_latent) {
  const int32_t* begin = codes.latents.data + codes.row_offsets.data[row];
  const int32_t* end = codes.latents.data + codes.row_offsets.data[row + 1];
  if (begin == end) return {codes.row_offsets.data[row], codes.row_offsets.data[row]};
  const int32_t* first = *begin >= first_latent ? begin : std::lower_bound(begin, end, first_latent);
  const int32_t* last = end[-1] < last_latent ? end : std::lower_bound(first, end, last_latent);
  return {first - codes.latents.data, last - codes.latents.data};
}

}  // namespace orthant::kernels
