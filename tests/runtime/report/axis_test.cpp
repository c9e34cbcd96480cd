#include "runtime/report/axis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace orthant {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::Pointwise;

TEST(Axis, TicksAreRoundAndBoundsAreTicks) {
  const Axis axis(Scale::kLinear, std::vector<double>{0.13, 0.87}, true);
  EXPECT_DOUBLE_EQ(axis.low(), 0.0);
  EXPECT_DOUBLE_EQ(axis.high(), 1.0);
  EXPECT_THAT(axis.ticks(), Pointwise(DoubleNear(1e-12), {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}));
}

TEST(Axis, UnroundedBoundsAreTheData) {
  const Axis axis(Scale::kLinear, std::vector<double>{4096.0, 1000000.0}, false);
  EXPECT_DOUBLE_EQ(axis.low(), 4096.0);
  EXPECT_DOUBLE_EQ(axis.high(), 1000000.0);
  EXPECT_THAT(axis.ticks(), ElementsAre(2e5, 4e5, 6e5, 8e5, 1e6));
}

TEST(Axis, StepsAreOneTwoOrFiveTimesAPowerOfTen) {
  EXPECT_DOUBLE_EQ(round_step(1.0, 5), 0.2);
  EXPECT_DOUBLE_EQ(round_step(12.0, 5), 5.0);
  EXPECT_DOUBLE_EQ(round_step(5.0, 5), 1.0);
  EXPECT_DOUBLE_EQ(round_step(4e7, 5), 1e7);
}

TEST(Axis, OneValueLiesInTheMiddleOfARange) {
  const Axis axis(Scale::kLinear, std::vector<double>{7.0}, false);
  EXPECT_LT(axis.low(), 7.0);
  EXPECT_GT(axis.high(), 7.0);
  EXPECT_DOUBLE_EQ(axis.fraction(7.0), 0.5);
  EXPECT_FALSE(axis.ticks().empty());
  const Axis log(Scale::kLog, std::vector<double>{7.0}, true);
  EXPECT_LT(log.low(), 7.0);
  EXPECT_GT(log.high(), 7.0);
}

TEST(Axis, NoValuesGiveARange) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  const Axis linear(Scale::kLinear, std::vector<double>{nan, infinity, -infinity}, true);
  EXPECT_DOUBLE_EQ(linear.low(), 0.0);
  EXPECT_DOUBLE_EQ(linear.high(), 1.0);
  const Axis log(Scale::kLog, std::vector<double>{-1.0, 0.0}, true);
  EXPECT_DOUBLE_EQ(log.low(), 1.0);
  EXPECT_DOUBLE_EQ(log.high(), 10.0);
}

TEST(Axis, LogTicksAreDecades) {
  const Axis axis(Scale::kLog, std::vector<double>{3e-4, 0.0, 20.0}, true);
  EXPECT_DOUBLE_EQ(axis.low(), 1e-4);
  EXPECT_DOUBLE_EQ(axis.high(), 100.0);
  EXPECT_THAT(axis.ticks(), Pointwise(DoubleNear(1e-9), {1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0}));
  EXPECT_NEAR(axis.fraction(0.1), 0.5, 1e-12);
  EXPECT_FALSE(axis.holds(0.0));
}

TEST(Axis, ShortLogAxesHaveTicksWithinDecades) {
  const Axis axis(Scale::kLog, std::vector<double>{0.3, 4.0}, true);
  EXPECT_THAT(axis.ticks(), Pointwise(DoubleNear(1e-12), {0.2, 0.5, 1.0, 2.0, 5.0}));
}

TEST(Axis, WideLogAxesHaveFewTicks) {
  const Axis axis(Scale::kLog, std::vector<double>{1e-200, 1e200}, true);
  EXPECT_LE(axis.low(), 1e-200 * (1 + 1e-9));
  EXPECT_GE(axis.high(), 1e200 * (1 - 1e-9));
  EXPECT_LE(axis.ticks().size(), 12u);
  EXPECT_GE(axis.ticks().size(), 4u);
}

}  // namespace
}  // namespace orthant
