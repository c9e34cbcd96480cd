// Rows of a table chosen by token: the first step of a language model. Thread-safe for distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// out[r] = table[token_ids[r]]. `table` [vocabulary, d_model], `token_ids` [rows] in [0, vocabulary),
// `out` [rows, d_model]. A token outside throws on the CPU; on CUDA its row is NaN.
void embed(Matrix<const float> table, Vector<const int32_t> token_ids, Matrix<float> out, Stream& stream);

}  // namespace orthant::kernels
