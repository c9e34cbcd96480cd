// One step of a reduction, for CPU code and CUDA kernels alike: the same bits. Integer sums wrap. A NaN is
// kept by a minimum or maximum only where it comes first. Thread-safe.
#pragma once

#include <type_traits>

#include "runtime/comm/communicator.h"
#include "runtime/core/host_device.h"

namespace orthant {

template <ReduceOp kOp, typename T>
ORTHANT_HOST_DEVICE T combine(T a, T b) {
  if constexpr (kOp == ReduceOp::kMin) {
    return b < a ? b : a;
  } else if constexpr (kOp == ReduceOp::kMax) {
    return a < b ? b : a;
  } else if constexpr (kOp == ReduceOp::kBitOr) {
    return static_cast<T>(a | b);
  } else if constexpr (std::is_integral_v<T>) {
    using Unsigned = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<Unsigned>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b)));
  } else {
    return a + b;
  }
}

}  // namespace orthant
