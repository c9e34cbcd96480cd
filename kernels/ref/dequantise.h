// Reference of kernels/dense/dequantise.h: one value at a time, by the descriptions of the formats.
#pragma once

#include <cstdint>

#include "kernels/dense/block_format.h"

namespace orthant::kernels::ref {

// Value `index` of a block of a quantised type, each operation rounded to f32.
[[nodiscard]] double block_value(BlockType type, const uint8_t* block, int index);

}  // namespace orthant::kernels::ref
