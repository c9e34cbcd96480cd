// Sums of codes over groups of rows: what scores of latents are made of.
//
// A row belongs to the groups whose bits its mask has; rows of no group count nowhere. Each sum adds its
// values in f64 in the order of the rows, so bits do not depend on threads. Latents are dealt to OpenMP's
// threads. Nothing is allocated. CPU only. Thread-safe for distinct outputs. Not Collective.
#pragma once

#include <cstdint>

#include "kernels/codes/codes.h"

namespace orthant::kernels {

// Groups are the bits of a mask.
inline constexpr int kMostGroups = 64;

struct GroupSums {
  Matrix<double> values;    // [local_latents, groups] sums of activations
  Vector<int64_t> rows;     // [groups]
  Vector<int64_t> fired;    // [local_latents] rows of any group with an activation above 0
  Vector<float> max;        // [local_latents] largest activation in a row of any group
  Vector<int64_t> max_row;  // [local_latents] the first row that has it; -1 where the latent never fired
};

// Adds the codes of rows numbered first_row, first_row + 1, ...; `masks` [rows]. Rows must come in ascending
// order from call to call. Global latents; those outside [first_latent, first_latent + local_latents) are a
// bug of the caller.
void add_group_sums(CodesView codes, Vector<const uint64_t> masks, int64_t first_latent, int64_t first_row,
                    const GroupSums& into);

}  // namespace orthant::kernels
