// The arithmetic of a reduction on host memory: parts combined in their order, whatever the message size.
//
// bf16 and f16 are widened to f32, summed, and rounded once. Integer sums wrap. Thread-safe.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/core/combine.h"

namespace orthant {

// into[i] = parts[0][i] op parts[1][i] op ..., left to right; every part and `into` hold [elements]. `into`
// may be one of the parts. kBitOr of a floating type is a bug of the caller.
void reduce_in_order(std::span<const void* const> parts, void* into, int64_t elements, Dtype dtype,
                     ReduceOp op);

}  // namespace orthant
