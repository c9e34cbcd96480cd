// Rotary position embedding in rotate-half layout: coordinate i of a head is paired with i + head_dim / 2.
//
// The caller keeps the table of cosines and sines, one row a position, so that frequency scaling is no
// concern of this file. Thread-safe for distinct rows.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// Rotates every head of every row of `x` [rows, heads * head_dim] in place by the angles of its position:
// (a, b) -> (a cos - b sin, b cos + a sin). `positions` [rows] < table rows; `cosines`, `sines`
// [positions, head_dim / 2].
void rotate_heads(Matrix<float> x, Vector<const int32_t> positions, Matrix<const float> cosines,
                  Matrix<const float> sines, Stream& stream);

}  // namespace orthant::kernels
