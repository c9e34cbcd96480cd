// Codes as kernels see them, and which entries of a row belong to a slice of the latents.
#pragma once

#include "kernels/codes/codes.h"
#include "kernels/cuda/launch.cuh"

namespace orthant::kernels {

struct CodesPointers {
  const int64_t* row_offsets;
  const int32_t* latents;
  const float* values;
};

inline CodesPointers pointers_of(const CodesView& codes) {
  return {codes.row_offsets.data, codes.latents.data, codes.values.data};
}

struct Entries {
  int64_t first;
  int64_t last;  // one past the end
};

// The first entry of [first, last) whose latent is not below `bound`.
__device__ inline int64_t first_entry_from(const int32_t* latents, int64_t first, int64_t last,
                                           int64_t bound) {
  while (first < last) {
    const int64_t middle = first + (last - first) / 2;
    if (latents[middle] < bound) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  return first;
}

// Entries of row `row` whose latent lies in [first_latent, last_latent).
__device__ inline Entries row_entries(const CodesPointers& codes, int64_t row, int64_t first_latent,
                                      int64_t last_latent) {
  const int64_t begin = codes.row_offsets[row], end = codes.row_offsets[row + 1];
  const int64_t first = first_entry_from(codes.latents, begin, end, first_latent);
  return {first, first_entry_from(codes.latents, first, end, last_latent)};
}

}  // namespace orthant::kernels
