#include "kernels/dense/dequantise.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/ref/dequantise.h"
#include "runtime/core/dtype.h"
#include "runtime/core/error.h"
#include "runtime/core/rng.h"

namespace orthant {
namespace {

using kernels::BlockType;

// The byte offsets of half-precision scales in a block.
std::vector<int> half_offsets(BlockType type) {
  switch (type) {
    case BlockType::kQ4_1:
    case BlockType::kQ5_1:
    case BlockType::kQ4_K:
    case BlockType::kQ5_K:
      return {0, 2};
    case BlockType::kQ6_K:
      return {208};
    default:
      return {0};
  }
}

std::vector<uint8_t> random_blocks(BlockType type, int count) {
  const auto format = kernels::block_format(type);
  std::vector<uint8_t> bytes(static_cast<size_t>(count * format.bytes));
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(random_u64(7, Purpose::kTest, static_cast<uint32_t>(type), i));
  }
  for (int block = 0; block < count; ++block) {
    for (const int at : half_offsets(type))
      bytes[block * format.bytes + at + 1] &= 0xbb;  // keeps scales finite
  }
  return bytes;
}

void dequantise(BlockType type, std::span<const std::byte> blocks, std::span<float> into) {
  Stream stream;
  kernels::dequantise(type, {blocks.data(), {static_cast<int64_t>(blocks.size())}},
                      {into.data(), {static_cast<int64_t>(into.size())}}, stream);
}

class Dequantise : public ::testing::TestWithParam<BlockType> {};

TEST_P(Dequantise, RandomBlocksAreBitwiseTheReference) {
  constexpr int kBlocks = 37;
  const auto format = kernels::block_format(GetParam());
  const auto bytes = random_blocks(GetParam(), kBlocks);
  std::vector<float> values(static_cast<size_t>(kBlocks * format.values));
  dequantise(GetParam(), std::as_bytes(std::span(bytes)), values);
  for (size_t i = 0; i < values.size(); ++i) {
    const uint8_t* block = bytes.data() + i / format.values * format.bytes;
    const auto expected =
        static_cast<float>(kernels::ref::block_value(GetParam(), block, static_cast<int>(i % format.values)));
    ASSERT_EQ(expected, values[i]) << "value " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(AllQuantisedTypes, Dequantise,
                         ::testing::Values(BlockType::kQ4_0, BlockType::kQ4_1, BlockType::kQ5_0,
                                           BlockType::kQ5_1, BlockType::kQ8_0, BlockType::kQ4_K,
                                           BlockType::kQ5_K, BlockType::kQ6_K),
                         [](const auto& tested) {
                           return "Type" + std::to_string(static_cast<uint32_t>(tested.param));
                         });

TEST(DequantiseFloats, AreWidenedExactly) {
  const std::vector<float> source = {1.5f, -0.0f, 65504.0f, 5.9604645e-8f, -3.0f};
  std::vector<uint16_t> halves;
  std::vector<uint16_t> brains;
  for (const float value : source) {
    halves.push_back(to_f16(value).bits);
    brains.push_back(to_bf16(value).bits);
  }
  std::vector<float> into(source.size());
  dequantise(BlockType::kF32, std::as_bytes(std::span(source)), into);
  EXPECT_EQ(source, into);
  dequantise(BlockType::kF16, std::as_bytes(std::span(halves)), into);
  EXPECT_EQ(source, into);
  dequantise(BlockType::kBF16, std::as_bytes(std::span(brains)), into);
  for (size_t i = 0; i < source.size(); ++i) EXPECT_EQ(to_f32(BFloat16{brains[i]}), into[i]);
}

TEST(DequantiseFloats, NothingIntoNothing) {
  dequantise(BlockType::kQ6_K, {}, {});
  EXPECT_EQ(0, kernels::block_format(static_cast<BlockType>(99)).values);
}

TEST(DequantiseFloats, PartialBlocksAreABug) {
  const std::vector<std::byte> bytes(34);
  std::vector<float> into(31);
  EXPECT_THROW(dequantise(BlockType::kQ8_0, bytes, into), Error);
}

}  // namespace
}  // namespace orthant
