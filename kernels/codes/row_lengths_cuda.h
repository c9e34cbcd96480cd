// CUDA bodies of row_lengths.h, called after its argument checks; without CUDA in the build they throw.
#pragma once

#include "kernels/codes/row_lengths.h"

namespace orthant::kernels::cuda {

void row_lengths(Vector<const int64_t> row_offsets, Vector<int64_t> lengths, Stream& stream);
void lengths_to_offsets(Vector<int64_t> offsets, Stream& stream);

}  // namespace orthant::kernels::cuda
