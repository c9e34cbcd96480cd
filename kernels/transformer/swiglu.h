// The gated activation of Llama's MLP. Bits do not depend on threads or instruction sets.
// Thread-safe for distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// out = gate / (1 + exp(-gate)) * up, element by element. All [rows, d_mlp]; `out` may be `gate` or `up`.
void swiglu(Matrix<const float> gate, Matrix<const float> up, Matrix<float> out, Stream& stream);

}  // namespace orthant::kernels
