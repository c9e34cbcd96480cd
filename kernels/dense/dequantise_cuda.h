// CUDA body of dequantise.h, called after its argument checks; without CUDA in the build it throws.
#pragma once

#include <cstddef>

#include "kernels/dense/block_format.h"
#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels::cuda {

void dequantise(BlockType type, Vector<const std::byte> blocks, Vector<float> into, Stream& stream);

}  // namespace orthant::kernels::cuda
