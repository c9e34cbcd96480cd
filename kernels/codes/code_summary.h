// What codes say of their latents and rows: which latents fired, the smallest value of a row, what the values
// of a latent add up to. Codes may hold latents of other shards; only those of the slice are looked at. Not
// Collective.
#pragma once

#include "kernels/codes/latent_step.h"

namespace orthant::kernels {

// fired[i] = 1 for each local latent i that has an entry of positive value, with `by_selection` an entry of
// any value. `fired` [local_latents]; the others stay as they are.
void mark_fired(CodesView codes, int64_t first_latent, bool by_selection, Vector<int32_t> fired,
                Stream& stream);

// smallest[r] = the smallest positive value of row r, of all latents; infinity where there is none.
void smallest_of_rows(CodesView codes, Vector<float> smallest, Stream& stream);

// sums[i] = the sum of the values of local latent i, f64, in the order of rows. `order` of the same codes.
void latent_value_sums(CodesView codes, LatentOrderView order, Vector<double> sums, Stream& stream);

}  // namespace orthant::kernels
