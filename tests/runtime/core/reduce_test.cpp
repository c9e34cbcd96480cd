#include "runtime/core/reduce.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

namespace orthant {
namespace {

template <typename T>
std::vector<T> reduced(const std::vector<std::vector<T>>& parts, Dtype dtype, ReduceOp op) {
  std::vector<const void*> places;
  for (const std::vector<T>& part : parts) places.push_back(part.data());
  std::vector<T> into(parts.front().size());
  reduce_in_order(places, into.data(), static_cast<int64_t>(into.size()), dtype, op);
  return into;
}

TEST(ReduceInOrder, GoesFromLeftToRight) {
  // (2^24 + 1) - 2^24 is 0 in f32, 2^24 - 2^24 + 1 is 1.
  EXPECT_EQ(reduced<float>({{16777216.0f}, {1.0f}, {-16777216.0f}}, Dtype::kF32, ReduceOp::kSum)[0], 0.0f);
  EXPECT_EQ(reduced<float>({{16777216.0f}, {-16777216.0f}, {1.0f}}, Dtype::kF32, ReduceOp::kSum)[0], 1.0f);
}

TEST(ReduceInOrder, CrossesBlocksAndWritesOverAPart) {
  for (const size_t elements : {0u, 1u, 1023u, 1024u, 1025u, 5000u}) {
    std::vector<int32_t> first(elements), second(elements);
    for (size_t i = 0; i < elements; ++i) {
      first[i] = static_cast<int32_t>(i);
      second[i] = static_cast<int32_t>(3 * i + 1);
    }
    const std::array<const void*, 2> parts = {first.data(), second.data()};
    reduce_in_order(parts, second.data(), static_cast<int64_t>(elements), Dtype::kI32, ReduceOp::kSum);
    for (size_t i = 0; i < elements; ++i) ASSERT_EQ(second[i], static_cast<int32_t>(4 * i + 1));
  }
}

TEST(ReduceInOrder, SixteenBitFloatsRoundOnce) {
  const std::vector<BFloat16> large(3, to_bf16(256.0f)), one(3, to_bf16(1.0f));
  const auto sum = reduced<BFloat16>({large, one, one}, Dtype::kBF16, ReduceOp::kSum);
  EXPECT_EQ(to_f32(sum[2]), 258.0f);  // 256 + 1 alone rounds back to 256
  const std::vector<Float16> half = {to_f16(2048.0f)}, small = {to_f16(1.0f)};
  EXPECT_EQ(to_f32(reduced<Float16>({half, small, small}, Dtype::kF16, ReduceOp::kSum)[0]), 2050.0f);
}

TEST(ReduceInOrder, IntegerSumsWrap) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(reduced<int64_t>({{kMost}, {1}}, Dtype::kI64, ReduceOp::kSum)[0],
            std::numeric_limits<int64_t>::min());
  EXPECT_EQ(reduced<uint8_t>({{200}, {100}}, Dtype::kU8, ReduceOp::kSum)[0], 44);
}

TEST(ReduceInOrder, TakesMinMaxAndBits) {
  EXPECT_EQ(reduced<double>({{3.0}, {-1.0}, {2.0}}, Dtype::kF64, ReduceOp::kMin)[0], -1.0);
  EXPECT_EQ(reduced<double>({{3.0}, {-1.0}, {2.0}}, Dtype::kF64, ReduceOp::kMax)[0], 3.0);
  EXPECT_EQ(reduced<uint64_t>({{1}, {4}, {5}}, Dtype::kU64, ReduceOp::kBitOr)[0], 5u);
  EXPECT_THROW(reduced<float>({{1.0f}, {2.0f}}, Dtype::kF32, ReduceOp::kBitOr), Error);
}

}  // namespace
}  // namespace orthant
