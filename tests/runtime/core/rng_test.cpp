#include "runtime/core/rng.h"

#include <gtest/gtest.h>

#include <cmath>

namespace orthant {
namespace {

// Known answers of the Random123 distribution for philox4x32-10.
TEST(Philox, GivesThePublishedKnownAnswers) {
  const std::array<uint32_t, 4> zeros = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), zeros);
  const std::array<uint32_t, 4> ones = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), ones);
  const std::array<uint32_t, 4> digits = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}), digits);
}

TEST(Random, NormalHasUnitMoments) {
  double sum = 0.0, squares = 0.0;
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random_normal(7, Purpose::kTest, 3, static_cast<uint64_t>(i));
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 4.0 / std::sqrt(kDraws));
  EXPECT_NEAR(squares / kDraws, 1.0, 4.0 * std::sqrt(2.0 / kDraws));
}

TEST(Random, StreamsOfDifferentPurposeDiffer) {
  EXPECT_NE(random_u64(1, Purpose::kEncoderInit, 0, 0), random_u64(1, Purpose::kDecoderInit, 0, 0));
  EXPECT_NE(random_u64(1, Purpose::kTest, 0, 0), random_u64(2, Purpose::kTest, 0, 0));
}

}  // namespace
}  // namespace orthant
