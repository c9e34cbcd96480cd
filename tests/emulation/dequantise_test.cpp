#include "kernels/dense/dequantise.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "kernels/dense/dequantise_cuda.h"
#include "runtime/core/rng.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;

using DequantiseKernel = testing::KernelTest;

// Random bytes: scales that are subnormal, infinite or NaN among them.
std::vector<std::byte> random_blocks(BlockType type, int64_t count) {
  std::vector<std::byte> bytes(static_cast<size_t>(count * block_format(type).bytes));
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(random_u64(7, Purpose::kTest, static_cast<uint32_t>(type), i));
  }
  return bytes;
}

TEST_F(DequantiseKernel, HasTheBitsOfTheCpu) {
  for (const BlockType type : {BlockType::kF32, BlockType::kF16, BlockType::kBF16, BlockType::kQ4_0,
                               BlockType::kQ4_1, BlockType::kQ5_0, BlockType::kQ5_1, BlockType::kQ8_0,
                               BlockType::kQ4_K, BlockType::kQ5_K, BlockType::kQ6_K}) {
    constexpr int64_t kBlocks = 131;
    const int64_t values = kBlocks * block_format(type).values;
    const std::vector<std::byte> blocks = random_blocks(type, kBlocks);
    const DeviceArray<std::byte> there{std::span<const std::byte>(blocks)};
    const DeviceArray<float> out(values);
    cuda::dequantise(type, there.vector(), out.vector(), stream_);
    const std::vector<float> found = out.values();
    std::vector<float> expected(found.size());
    Stream stream;
    dequantise(type, {blocks.data(), {static_cast<int64_t>(blocks.size())}}, {expected.data(), {values}},
               stream);
    for (size_t i = 0; i < found.size(); ++i) {
      if (std::isnan(expected[i])) {
        EXPECT_TRUE(std::isnan(found[i])) << static_cast<uint32_t>(type) << " value " << i;
      } else {
        EXPECT_EQ(std::bit_cast<uint32_t>(found[i]), std::bit_cast<uint32_t>(expected[i]))
            << static_cast<uint32_t>(type) << " value " << i;
      }
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
