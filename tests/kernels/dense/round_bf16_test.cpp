#include "kernels/dense/round_bf16.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/ref/round_bf16.h"
#include "tests/support/random_matrix.h"

namespace orthant {
namespace {

uint32_t rounded_bits(uint32_t bits) {
  float value = std::bit_cast<float>(bits);
  kernels::round_bf16({&value, 1});
  return std::bit_cast<uint32_t>(value);
}

TEST(RoundBf16, MatchesTheReferenceInEveryBitPatternOfTheUpperHalf) {
  // Of each bf16 number and sign: itself, what is just above it, below, at and above the middle, and just
  // below the next.
  std::vector<float> values;
  for (uint32_t upper = 0; upper < 0x10000u; ++upper) {
    for (const uint32_t lower : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      const float value = std::bit_cast<float>(upper << 16 | lower);
      if (!std::isnan(value)) values.push_back(value);
    }
  }
  std::vector<float> expected;
  for (const float value : values) expected.push_back(kernels::ref::round_bf16(value));
  kernels::round_bf16(values);
  EXPECT_TRUE(testing::same_bits(values, expected));
}

// The resolution is 1/8 near -20 and 1/32 near -5, where choices of a question come to tie.
TEST(RoundBf16, RoundsLogProbabilities) {
  const auto rounded = [](float value) {
    kernels::round_bf16({&value, 1});
    return value;
  };
  EXPECT_EQ(rounded(-20.05f), -20.0f);
  EXPECT_EQ(rounded(-20.07f), -20.125f);
  EXPECT_EQ(rounded(-0.3333f), -0.333984375f);
  for (const float value : {-5.019f, -5.02f, -5.03f}) EXPECT_EQ(rounded(value), -5.03125f);
}

TEST(RoundBf16, GoesToTheEvenNeighbourOfATie) {
  EXPECT_EQ(rounded_bits(0x3f808000u), 0x3f800000u);
  EXPECT_EQ(rounded_bits(0x3f818000u), 0x3f820000u);
  EXPECT_EQ(rounded_bits(0xbf818000u), 0xbf820000u);
}

TEST(RoundBf16, RoundsSubnormalsLikeAllOthers) {
  EXPECT_EQ(rounded_bits(0x00000001u), 0x00000000u);
  EXPECT_EQ(rounded_bits(0x80000001u), 0x80000000u);
  EXPECT_EQ(rounded_bits(0x00008001u), 0x00010000u);
  EXPECT_EQ(rounded_bits(0x007fffffu), 0x00800000u);  // the least normal number
}

TEST(RoundBf16, OverflowsToInfinityFromHalfAUnitBeyondTheLargest) {
  EXPECT_EQ(rounded_bits(0x7f7f7fffu), 0x7f7f0000u);
  EXPECT_EQ(rounded_bits(0x7f7f8000u), 0x7f800000u);
  EXPECT_EQ(rounded_bits(0xff7fffffu), 0xff800000u);
  EXPECT_EQ(rounded_bits(0x7f800000u), 0x7f800000u);
  EXPECT_EQ(rounded_bits(0xff800000u), 0xff800000u);
}

TEST(RoundBf16, KeepsNaNAndItsSign) {
  for (const uint32_t bits : {0x7f800001u, 0x7fc00000u, 0x7fffffffu, 0xff800001u, 0xffffffffu}) {
    const uint32_t rounded = rounded_bits(bits);
    EXPECT_TRUE(std::isnan(std::bit_cast<float>(rounded))) << std::hex << bits;
    EXPECT_EQ(rounded & 0xffffu, 0u) << std::hex << bits;
    EXPECT_EQ(rounded >> 31, bits >> 31) << std::hex << bits;
  }
}

TEST(RoundBf16, RoundsEveryElementOfAnyLength) {
  for (int64_t count = 0; count < 40; ++count) {
    std::vector<float> values = testing::random_matrix(1, count, 3).values, expected;
    for (const float value : values) expected.push_back(kernels::ref::round_bf16(value));
    kernels::round_bf16(values);
    EXPECT_TRUE(testing::same_bits(values, expected)) << count;
  }
}

}  // namespace
}  // namespace orthant
