// Rows of a matrix chosen by number: the embedding of tokens, the last rows of sequences, rows that are taken
// out, changed and put back. Thread-safe for distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// out[r] = table[chosen[r]]. `table` [table rows, width], `chosen` [rows] in [0, table rows), `out`
// [rows, width], which is not part of `table`. A number outside throws on the CPU; on CUDA its row is NaN.
void gather_rows(Matrix<const float> table, Vector<const int32_t> chosen, Matrix<float> out, Stream& stream);

// into[chosen[r]] = from[r]. `from` [rows, width], `chosen` [rows] distinct numbers in [0, rows of into),
// `into` [.., width]. A number outside throws on the CPU; on CUDA its row goes nowhere.
void scatter_rows(Matrix<const float> from, Vector<const int32_t> chosen, Matrix<float> into, Stream& stream);

}  // namespace orthant::kernels
