#include "models/formats/dequantise.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "models/formats/gguf.h"
#include "runtime/core/dtype.h"
#include "runtime/core/error.h"
#include "runtime/core/rng.h"
#include "tests/support/test_model.h"

namespace orthant {
namespace {

using models::GgmlType;

// Half to double by the definition of IEEE 754 binary16.
double half(const uint8_t* at) {
  const int bits = at[0] | at[1] << 8;
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
}

// Rounds each operation to f32; the doubles inside are wide enough for the rounding to be innocuous.
double rounded(double value) {
  return static_cast<float>(value);
}

int nibble(const uint8_t* bytes, int block_of_32, int i) {
  const int byte = bytes[block_of_32 * 16 + i % 16];
  return i < 16 ? byte % 16 : byte / 16;
}

int bit(const uint8_t* bytes, int i) {
  return bytes[i / 8] >> (i % 8) & 1;
}

// Scale (which = 0) or minimum (1) of a group of 32 in Q4_K and Q5_K: bits gathered one by one.
int six_bits(const uint8_t* s, int group, int which) {
  if (group < 4) return s[group + 4 * which] % 64;
  const int low = which == 0 ? s[group + 4] % 16 : s[group + 4] / 16;
  const int top = s[group - 4 + 4 * which] / 64;
  return top * 16 + low;
}

// Value i of a block, by the description of the format.
double reference(GgmlType type, const uint8_t* b, int i) {
  const int group = i / 32;
  switch (type) {
    case GgmlType::kQ4_0:
      return rounded(half(b) * (nibble(b + 2, 0, i) - 8));
    case GgmlType::kQ4_1:
      return rounded(rounded(half(b) * nibble(b + 4, 0, i)) + half(b + 2));
    case GgmlType::kQ5_0:
      return rounded(half(b) * (nibble(b + 6, 0, i) + 16 * bit(b + 2, i) - 16));
    case GgmlType::kQ5_1:
      return rounded(rounded(half(b) * (nibble(b + 8, 0, i) + 16 * bit(b + 4, i))) + half(b + 2));
    case GgmlType::kQ8_0:
      return rounded(half(b) * static_cast<int8_t>(b[2 + i]));
    case GgmlType::kQ4_K:
    case GgmlType::kQ5_K: {
      const bool five = type == GgmlType::kQ5_K;
      const uint8_t* packed = b + (five ? 48 : 16);
      const int byte = packed[group / 2 * 32 + i % 32];
      int q = group % 2 == 0 ? byte % 16 : byte / 16;
      if (five) q += 16 * (b[16 + i % 32] >> group & 1);
      const double scale = rounded(half(b) * six_bits(b + 4, group, 0));
      const double minimum = rounded(half(b + 2) * six_bits(b + 4, group, 1));
      return rounded(rounded(scale * q) - minimum);
    }
    case GgmlType::kQ6_K: {
      const int within = i % 128;
      const int low = b[i / 128 * 64 + within % 64];
      const int high = b[128 + i / 128 * 32 + within % 32] >> (within / 32 * 2) & 3;
      const int q = (within < 64 ? low % 16 : low / 16) + 16 * high - 32;
      return rounded(rounded(half(b + 208) * static_cast<int8_t>(b[192 + i / 16])) * q);
    }
    default:
      return NAN;
  }
}

// The byte offsets of half-precision scales in a block.
std::vector<int> half_offsets(GgmlType type) {
  switch (type) {
    case GgmlType::kQ4_1:
    case GgmlType::kQ5_1:
    case GgmlType::kQ4_K:
    case GgmlType::kQ5_K:
      return {0, 2};
    case GgmlType::kQ6_K:
      return {208};
    default:
      return {0};
  }
}

std::vector<uint8_t> random_blocks(GgmlType type, int count) {
  const auto format = models::block_format(type);
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

class Dequantise : public ::testing::TestWithParam<GgmlType> {};

TEST_P(Dequantise, RandomBlocksAreBitwiseTheReference) {
  constexpr int kBlocks = 37;
  const auto format = models::block_format(GetParam());
  const auto bytes = random_blocks(GetParam(), kBlocks);
  std::vector<float> values(static_cast<size_t>(kBlocks * format.values));
  models::dequantise(GetParam(), std::as_bytes(std::span(bytes)), values);
  for (size_t i = 0; i < values.size(); ++i) {
    const uint8_t* block = bytes.data() + i / format.values * format.bytes;
    const auto expected =
        static_cast<float>(reference(GetParam(), block, static_cast<int>(i % format.values)));
    ASSERT_EQ(expected, values[i]) << "value " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(AllQuantisedTypes, Dequantise,
                         ::testing::Values(GgmlType::kQ4_0, GgmlType::kQ4_1, GgmlType::kQ5_0, GgmlType::kQ5_1,
                                           GgmlType::kQ8_0, GgmlType::kQ4_K, GgmlType::kQ5_K,
                                           GgmlType::kQ6_K),
                         [](const auto& tested) { return models::name_of(tested.param); });

TEST(DequantiseFloats, AreWidenedExactly) {
  const std::vector<float> source = {1.5f, -0.0f, 65504.0f, 5.9604645e-8f, -3.0f};
  std::vector<uint16_t> halves;
  std::vector<uint16_t> brains;
  for (const float value : source) {
    halves.push_back(to_f16(value).bits);
    brains.push_back(to_bf16(value).bits);
  }
  std::vector<float> into(source.size());
  models::dequantise(GgmlType::kF32, std::as_bytes(std::span(source)), into);
  EXPECT_EQ(source, into);
  models::dequantise(GgmlType::kF16, std::as_bytes(std::span(halves)), into);
  EXPECT_EQ(source, into);
  models::dequantise(GgmlType::kBF16, std::as_bytes(std::span(brains)), into);
  for (size_t i = 0; i < source.size(); ++i) EXPECT_EQ(to_f32(BFloat16{brains[i]}), into[i]);
}

TEST(DequantiseFloats, NothingIntoNothing) {
  models::dequantise(GgmlType::kQ6_K, {}, {});
  EXPECT_EQ(0, models::block_format(static_cast<GgmlType>(99)).values);
  EXPECT_EQ("type 99", models::name_of(static_cast<GgmlType>(99)));
  EXPECT_EQ("IQ2_XS", models::name_of(static_cast<GgmlType>(17)));
}

TEST(DequantiseFloats, PartialBlocksAreABug) {
  const std::vector<std::byte> bytes(34);
  std::vector<float> into(31);
  EXPECT_THROW(models::dequantise(GgmlType::kQ8_0, bytes, into), Error);
}

TEST(DequantiseRealModel, EveryQuantisedTensorIsBitwiseTheReference) {
  ORTHANT_NEEDS_TEST_MODEL();
  const models::GgufFile file(testing::test_model());
  for (const std::string name : {"token_embd.weight", "blk.0.attn_q.weight", "blk.29.ffn_down.weight"}) {
    const models::GgufTensor& tensor = file.tensors().at(name);
    const auto format = models::block_format(tensor.type);
    if (format.values == 1) continue;
    const int64_t blocks = std::min<int64_t>(2000, static_cast<int64_t>(tensor.bytes.size()) / format.bytes);
    std::vector<float> values(static_cast<size_t>(blocks * format.values));
    models::dequantise(tensor.type, tensor.bytes.first(blocks * format.bytes), values);
    const auto* bytes = reinterpret_cast<const uint8_t*>(tensor.bytes.data());
    for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
      const uint8_t* block = bytes + i / format.values * format.bytes;
      const auto expected =
          static_cast<float>(reference(tensor.type, block, static_cast<int>(i % format.values)));
      ASSERT_EQ(expected, values[i]) << name << " value " << i;
    }
  }
}

}  // namespace
}  // namespace orthant
