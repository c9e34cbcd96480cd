// reduce_in_order() on memory of a GPU: same order, same roundings. Thread-safe.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/comm/communicator.h"
#include "runtime/core/dtype.h"

namespace orthant::cuda {

inline constexpr size_t kMostReducedParts = 1024;

// As orthant::reduce_in_order(), in the order of `stream` (the vendor's), of at most kMostReducedParts parts.
// Throws Error(kDevice) when it cannot be launched.
void reduce_in_order(std::span<const void* const> parts, void* into, int64_t elements, Dtype dtype,
                     ReduceOp op, void* stream);

}  // namespace orthant::cuda
