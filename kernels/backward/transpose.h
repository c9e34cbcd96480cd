// Rows become columns. CPU. Thread-safe for distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// into[c, r] = from[r, c]. `from` [rows, columns], `into` [columns, rows], which is not part of `from`.
void transpose(Matrix<const float> from, Matrix<float> into, Stream& stream);

}  // namespace orthant::kernels
