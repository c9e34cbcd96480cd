// Codes in other units: each activation times, or divided by, a factor of its latent. Not Collective.
#pragma once

#include "kernels/codes/codes.h"
#include "runtime/device/stream.h"

namespace orthant::kernels {

// values[e] *= factors[latent of e - first_latent]: `factors` [local_latents], all latents of the codes lie
// in the slice.
void multiply_codes(CodesView codes, int64_t first_latent, Vector<const float> factors, Stream& stream);
// values[e] /= factors[latent of e - first_latent]. Undoes multiply_codes() up to one rounding.
void divide_codes(CodesView codes, int64_t first_latent, Vector<const float> factors, Stream& stream);

}  // namespace orthant::kernels
