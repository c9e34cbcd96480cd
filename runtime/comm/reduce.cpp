#include "runtime/comm/reduce.h"

#include <algorithm>
#include <array>

#include "runtime/comm/combine.h"
#include "runtime/core/error.h"

namespace orthant {
namespace {

// Accumulators of one block stay in the first-level cache while the parts stream by.
constexpr int64_t kBlock = 1024;

template <ReduceOp kOp, typename T>
void reduce_elements(std::span<const void* const> parts, void* into, int64_t elements) {
  std::array<T, kBlock> sum;
  for (int64_t first = 0; first < elements; first += kBlock) {
    const int64_t count = std::min(kBlock, elements - first);
    std::copy_n(static_cast<const T*>(parts[0]) + first, count, sum.data());
    for (const void* const part : parts.subspan(1)) {
      const T* const next = static_cast<const T*>(part) + first;
      for (int64_t i = 0; i < count; ++i) {
        sum[static_cast<size_t>(i)] = combine<kOp>(sum[static_cast<size_t>(i)], next[i]);
      }
    }
    std::copy_n(sum.data(), count, static_cast<T*>(into) + first);
  }
}

template <ReduceOp kOp>
void reduce_16_bit(std::span<const void* const> parts, void* into, int64_t elements, Dtype dtype) {
  std::array<float, kBlock> sum, next;
  for (int64_t first = 0; first < elements; first += kBlock) {
    const auto count = static_cast<size_t>(std::min(kBlock, elements - first));
    const int64_t offset = first * bytes_of(dtype);
    widen(dtype, static_cast<const std::byte*>(parts[0]) + offset, {sum.data(), count});
    for (const void* const part : parts.subspan(1)) {
      widen(dtype, static_cast<const std::byte*>(part) + offset, {next.data(), count});
      for (size_t i = 0; i < count; ++i) sum[i] = combine<kOp>(sum[i], next[i]);
    }
    narrow({sum.data(), count}, dtype, static_cast<std::byte*>(into) + offset);
  }
}

template <ReduceOp kOp>
void reduce_integers(std::span<const void* const> parts, void* into, int64_t elements, Dtype dtype) {
  switch (dtype) {
    case Dtype::kI64:
      return reduce_elements<kOp, int64_t>(parts, into, elements);
    case Dtype::kI32:
      return reduce_elements<kOp, int32_t>(parts, into, elements);
    case Dtype::kI16:
      return reduce_elements<kOp, int16_t>(parts, into, elements);
    case Dtype::kI8:
      return reduce_elements<kOp, int8_t>(parts, into, elements);
    case Dtype::kU64:
      return reduce_elements<kOp, uint64_t>(parts, into, elements);
    case Dtype::kU32:
      return reduce_elements<kOp, uint32_t>(parts, into, elements);
    case Dtype::kU16:
      return reduce_elements<kOp, uint16_t>(parts, into, elements);
    case Dtype::kU8:
      return reduce_elements<kOp, uint8_t>(parts, into, elements);
    default:
      require(false, "a bitwise reduction has an integer type");
  }
}

template <ReduceOp kOp>
void reduce_numbers(std::span<const void* const> parts, void* into, int64_t elements, Dtype dtype) {
  switch (dtype) {
    case Dtype::kF64:
      return reduce_elements<kOp, double>(parts, into, elements);
    case Dtype::kF32:
      return reduce_elements<kOp, float>(parts, into, elements);
    case Dtype::kF16:
    case Dtype::kBF16:
      return reduce_16_bit<kOp>(parts, into, elements, dtype);
    default:
      return reduce_integers<kOp>(parts, into, elements, dtype);
  }
}

}  // namespace

void reduce_in_order(std::span<const void* const> parts, void* into, int64_t elements, Dtype dtype,
                     ReduceOp op) {
  require(!parts.empty(), "a reduction has at least one part");
  switch (op) {
    case ReduceOp::kSum:
      return reduce_numbers<ReduceOp::kSum>(parts, into, elements, dtype);
    case ReduceOp::kMin:
      return reduce_numbers<ReduceOp::kMin>(parts, into, elements, dtype);
    case ReduceOp::kMax:
      return reduce_numbers<ReduceOp::kMax>(parts, into, elements, dtype);
    case ReduceOp::kBitOr:
      return reduce_integers<ReduceOp::kBitOr>(parts, into, elements, dtype);
  }
}

}  // namespace orthant
