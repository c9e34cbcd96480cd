// One step of a reduction, for CPU code and CUDA kernels alike: the same bits. Integer sums wrap. A NaN is
// kept by a minimum or maximum only where it comes first. Thread-safe.
#pragma once

#include <cstdint>
#include <type_traits>

#include "runtime/core/dtype.h"
#include "runtime/core/error.h"
#include "runtime/core/host_device.h"

namespace orthant {

enum class ReduceOp { kSum, kMin, kMax, kBitOr };  // kBitOr: integers only

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

// An element type and an operation as arguments of a template: visit(Reduction<T, kOp>{}).
template <typename T, ReduceOp kOp>
struct Reduction {};

template <ReduceOp kOp, typename Visit>
void visit_integer_reduction(Dtype dtype, const Visit& visit) {
  switch (dtype) {
    case Dtype::kI64:
      return visit(Reduction<int64_t, kOp>{});
    case Dtype::kI32:
      return visit(Reduction<int32_t, kOp>{});
    case Dtype::kI16:
      return visit(Reduction<int16_t, kOp>{});
    case Dtype::kI8:
      return visit(Reduction<int8_t, kOp>{});
    case Dtype::kU64:
      return visit(Reduction<uint64_t, kOp>{});
    case Dtype::kU32:
      return visit(Reduction<uint32_t, kOp>{});
    case Dtype::kU16:
      return visit(Reduction<uint16_t, kOp>{});
    case Dtype::kU8:
      return visit(Reduction<uint8_t, kOp>{});
    default:
      require(false, "a bitwise reduction has an integer type");
  }
}

template <ReduceOp kOp, typename Visit>
void visit_number_reduction(Dtype dtype, const Visit& visit) {
  switch (dtype) {
    case Dtype::kF64:
      return visit(Reduction<double, kOp>{});
    case Dtype::kF32:
      return visit(Reduction<float, kOp>{});
    case Dtype::kF16:
      return visit(Reduction<Float16, kOp>{});
    case Dtype::kBF16:
      return visit(Reduction<BFloat16, kOp>{});
    default:
      return visit_integer_reduction<kOp>(dtype, visit);
  }
}

template <typename Visit>
void visit_reduction(Dtype dtype, ReduceOp op, const Visit& visit) {
  switch (op) {
    case ReduceOp::kSum:
      return visit_number_reduction<ReduceOp::kSum>(dtype, visit);
    case ReduceOp::kMin:
      return visit_number_reduction<ReduceOp::kMin>(dtype, visit);
    case ReduceOp::kMax:
      return visit_number_reduction<ReduceOp::kMax>(dtype, visit);
    case ReduceOp::kBitOr:
      return visit_integer_reduction<ReduceOp::kBitOr>(dtype, visit);
  }
}

}  // namespace orthant
