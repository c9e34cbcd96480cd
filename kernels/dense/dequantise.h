// Exact widening of stored weights to f32.
//
// Every product and every sum is rounded by itself, as the reference implementations do, so results are
// bitwise theirs, on every device. Thread-safe for distinct outputs.
#pragma once

#include <cstddef>

#include "kernels/dense/block_format.h"
#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// `blocks` holds elements of `into` / values whole blocks of a readable type, on the device of `into`.
void dequantise(BlockType type, Vector<const std::byte> blocks, Vector<float> into, Stream& stream);

}  // namespace orthant::kernels
