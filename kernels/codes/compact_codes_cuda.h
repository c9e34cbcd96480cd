// Reduces codes in place on CUDA: what the selections of this folder end with.
#pragma once

#include "kernels/codes/codes.h"
#include "kernels/codes/selection_scratch.h"
#include "runtime/device/stream.h"

namespace orthant::kernels::cuda {

// The latent of an entry that is to go.
inline constexpr int32_t kDropped = -1;

// Takes the dropped entries out of the codes, in order; the first offset stays. `room` is for the capacity of
// the codes.
void compact_codes(CodesView codes, const SelectionRoom& room, Stream& stream);

}  // namespace orthant::kernels::cuda
