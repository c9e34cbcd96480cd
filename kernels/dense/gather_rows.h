// Rows of a matrix that a list chooses. Not Collective; thread-safe for distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// out[i] = from[chosen[i]]. `out` [chosen, width]; all on one device.
void gather_rows(Matrix<const float> from, Vector<const int32_t> chosen, Matrix<float> out, Stream& stream);

}  // namespace orthant::kernels
