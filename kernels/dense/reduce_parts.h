// The arithmetic of a reduction on memory of a CUDA device, for communicators whose library has not the
// operation: parts combined in their order, with the bits of reduce_in_order() (runtime/core/reduce.h).
// Thread-safe.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/core/combine.h"
#include "runtime/device/stream.h"

namespace orthant::kernels::cuda {

inline constexpr size_t kMostReducedParts = 1024;

// into[i] = parts[0][i] op parts[1][i] op ..., left to right, in the order of `stream`; every part and `into`
// hold [elements]. `into` may be one of the parts, of which there are at most kMostReducedParts. Throws
// Error(kDevice) where it cannot be launched, or in a build without CUDA.
void reduce_parts(std::span<const void* const> parts, void* into, int64_t elements, Dtype dtype, ReduceOp op,
                  Stream& stream);

}  // namespace orthant::kernels::cuda
