#include "kernels/dense/reduce_parts.h"

#include <gtest/gtest.h>

#include <memory>

#include "runtime/core/reduce.h"
#include "runtime/core/rng.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::in_every_order;

constexpr ReduceOp kOps[] = {ReduceOp::kSum, ReduceOp::kMin, ReduceOp::kMax, ReduceOp::kBitOr};

bool is_floating(Dtype dtype) {
  return dtype == Dtype::kF64 || dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBF16;
}

// Floating numbers are below 2, so that no sum is infinite.
std::vector<std::byte> random_elements(int64_t elements, Dtype dtype, uint64_t part) {
  const int64_t width = bytes_of(dtype);
  std::vector<std::byte> bytes(static_cast<size_t>(elements * width));
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(random_u64(5, Purpose::kTest, static_cast<uint32_t>(part), i));
    const bool is_last = (i + 1) % static_cast<size_t>(width) == 0;
    if (is_last && is_floating(dtype)) bytes[i] &= std::byte{0xbf};
  }
  return bytes;
}

class ReducePartsKernel : public testing::KernelShapes<Dtype> {};

TEST_P(ReducePartsKernel, CombinesWithTheBitsOfTheCpu) {
  const Dtype dtype = GetParam();
  for (const ReduceOp op : kOps) {
    if (is_floating(dtype) && op == ReduceOp::kBitOr) continue;
    for (const int64_t elements : {1, 255, 1031}) {
      for (const size_t count : {size_t{1}, size_t{2}, size_t{5}}) {
        const int64_t bytes = elements * bytes_of(dtype);
        std::vector<std::vector<std::byte>> hosts;
        std::vector<const void*> host_parts;
        for (size_t p = 0; p < count; ++p) hosts.push_back(random_elements(elements, dtype, p));
        for (const auto& host : hosts) host_parts.push_back(host.data());
        std::vector<std::byte> expected(static_cast<size_t>(bytes));
        reduce_in_order(host_parts, expected.data(), elements, dtype, op);
        const std::vector<std::byte> found = in_every_order([&] {
          std::vector<std::unique_ptr<DeviceArray<std::byte>>> arrays;
          std::vector<const void*> parts;
          for (const auto& host : hosts) {
            arrays.push_back(std::make_unique<DeviceArray<std::byte>>(std::span<const std::byte>(host)));
            parts.push_back(arrays.back()->data());
          }
          // Over one of the parts, as a communicator does.
          cuda::reduce_parts(parts, arrays.back()->data(), elements, dtype, op, stream_);
          return arrays.back()->values();
        });
        EXPECT_TRUE(testing::same_bytes(found, expected)) << name_of(dtype) << " op " << static_cast<int>(op)
                                                          << ", " << elements << " elements of " << count;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, ReducePartsKernel,
                         ::testing::Values(Dtype::kF64, Dtype::kF32, Dtype::kF16, Dtype::kBF16, Dtype::kI64,
                                           Dtype::kI32, Dtype::kI16, Dtype::kI8, Dtype::kU64, Dtype::kU32,
                                           Dtype::kU16, Dtype::kU8),
                         [](const auto& dtype) { return std::string(name_of(dtype.param)); });

using ReducePartsKernelOf = testing::KernelTest;

TEST_F(ReducePartsKernelOf, EachHalfIsItself) {
  std::vector<uint16_t> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  for (const Dtype dtype : {Dtype::kF16, Dtype::kBF16}) {
    const DeviceArray<uint16_t> from{std::span<const uint16_t>(all)}, into(65536);
    const void* const parts[] = {from.data()};
    cuda::reduce_parts(parts, into.data(), 65536, dtype, ReduceOp::kSum, stream_);
    const std::vector<uint16_t> found = into.values();
    const uint16_t infinity = dtype == Dtype::kF16 ? 0x7c00 : 0x7f80;
    for (size_t i = 0; i < all.size(); ++i) {
      if ((i & 0x7fffu) > infinity) {
        EXPECT_GT(found[i] & 0x7fffu, infinity) << i << " stays no number";
      } else {
        ASSERT_EQ(found[i], all[i]) << name_of(dtype);
      }
    }
  }
}

TEST_F(ReducePartsKernelOf, SixteenBitFloatsRoundOnceFromLeftToRight) {
  const std::vector<BFloat16> large = {to_bf16(256.0f)}, one = {to_bf16(1.0f)};
  const DeviceArray<BFloat16> a{std::span<const BFloat16>(large)}, b{std::span<const BFloat16>(one)}, into(1);
  const void* const parts[] = {a.data(), b.data(), b.data()};
  cuda::reduce_parts(parts, into.data(), 1, Dtype::kBF16, ReduceOp::kSum, stream_);
  EXPECT_EQ(to_f32(into.values()[0]), 258.0f);  // 256 + 1 alone rounds back to 256
}

}  // namespace
}  // namespace orthant::kernels
