// Reduces codes in place on the CPU, in one pass. Not thread-safe.
#pragma once

#include "kernels/codes/codes.h"

namespace orthant::kernels::cpu {

// Leaves the entries for which keep(row, entry) holds, in order; the first offset stays.
template <typename Keep>
void keep_entries(CodesView codes, Keep keep) {
  int64_t kept = codes.row_offsets.data[0];
  int64_t begin = kept;
  for (int64_t r = 0; r < codes.rows(); ++r) {
    const int64_t end = codes.row_offsets.data[r + 1];
    for (int64_t e = begin; e < end; ++e) {
      if (!keep(r, e)) continue;
      codes.latents.data[kept] = codes.latents.data[e];
      codes.values.data[kept] = codes.values.data[e];
      ++kept;
    }
    begin = end;
    codes.row_offsets.data[r + 1] = kept;
  }
}

}  // namespace orthant::kernels::cpu
