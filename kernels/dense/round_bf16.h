// Rounding of f32 values to those that bf16 can hold, kept as f32: what the operands of a bf16 product are.
//
// Each value becomes the nearest of the bf16 numbers, ties to the one whose last bit is zero; subnormals are
// rounded like all others, what lies beyond the largest bf16 number by half a unit or more becomes infinite,
// NaN stays NaN. Element by element, so the bits do not depend on the processor. Thread-safe.
#pragma once

#include <span>

namespace orthant::kernels {

void round_bf16(std::span<float> values);

}  // namespace orthant::kernels
