// Latents that have not fired for long: their age in tokens, their list, and what an encode of them alone
// needs of a bias. Not Collective.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// tokens[i] = 0 where fired[i] is not 0, else tokens[i] + more; fired becomes 0. Both [latents].
void age_latents(int64_t more, Vector<int32_t> fired, Vector<int64_t> tokens, Stream& stream);

// Elements of the scratch of list_dead().
[[nodiscard]] int64_t dead_list_scratch(int64_t latents);
// The latents with tokens[i] >= threshold, ascending, at the front of `list` [latents]; returns how many.
// `scratch` [dead_list_scratch(latents)]. On CUDA the host waits for the result.
[[nodiscard]] int64_t list_dead(Vector<const int64_t> tokens, int64_t threshold, Vector<int32_t> list,
                                Vector<int64_t> scratch, Stream& stream);

// For each of the `chosen` [count] local latents: its bias ([latents]) in chosen_bias and its global number,
// first_latent more, in chosen_numbers, both [count].
void gather_chosen(Vector<const int32_t> chosen, int64_t first_latent, Vector<const float> bias,
                   Vector<float> chosen_bias, Vector<int32_t> chosen_numbers, Stream& stream);

}  // namespace orthant::kernels
