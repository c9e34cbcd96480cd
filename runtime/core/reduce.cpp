#include "runtime/core/reduce.h"

#include <algorithm>
#include <array>

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

}  // namespace

void reduce_in_order(std::span<const void* const> parts, void* into, int64_t elements, Dtype dtype,
                     ReduceOp op) {
  require(!parts.empty(), "a reduction has at least one part");
  visit_reduction(dtype, op, [&]<typename T, ReduceOp kOp>(Reduction<T, kOp>) {
    if constexpr (std::is_arithmetic_v<T>) {
      reduce_elements<kOp, T>(parts, into, elements);
    } else {
      reduce_16_bit<kOp>(parts, into, elements, dtype);
    }
  });
}

}  // namespace orthant
