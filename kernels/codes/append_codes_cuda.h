// CUDA body of append_codes.h, called after its argument checks; without CUDA in the build it throws.
#pragma once

#include "kernels/codes/append_codes.h"

namespace orthant::kernels::cuda {

void append_codes(CodesView from, int64_t first, CodesView into, Stream& stream);

}  // namespace orthant::kernels::cuda
