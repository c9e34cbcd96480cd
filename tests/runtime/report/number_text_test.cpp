#include "runtime/report/number_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace orthant {
namespace {

TEST(NumberText, WholeNumbersAreGivenInFull) {
  EXPECT_EQ(number_text(0.0), "0");
  EXPECT_EQ(number_text(32.0), "32");
  EXPECT_EQ(number_text(1000000.0), "1,000,000");
  EXPECT_EQ(number_text(-1234.0), "−1,234");
}

TEST(NumberText, FractionsHaveFourSignificantDigits) {
  EXPECT_EQ(number_text(0.812345), "0.8123");
  EXPECT_EQ(number_text(-0.00123456), "−0.001235");
  EXPECT_EQ(number_text(31.98765), "31.99");
  EXPECT_EQ(number_text(12345.6), "12,346");
  EXPECT_EQ(number_text(0.0000123), "1.23 × 10⁻⁵");
  EXPECT_EQ(number_text(1.5e12 + 0.5), "1.5 × 10¹²");
  EXPECT_EQ(number_text(9.99996e-6), "1 × 10⁻⁵");
}

TEST(NumberText, WhatIsNotFiniteIsADash) {
  EXPECT_EQ(number_text(std::nan("")), "–");
  EXPECT_EQ(number_text(std::numeric_limits<double>::infinity()), "–");
}

TEST(NumberText, TicksShareAUnit) {
  EXPECT_EQ(linear_tick_text(500000.0, 500000.0, 2e6), "0.5M");
  EXPECT_EQ(linear_tick_text(2000000.0, 500000.0, 2e6), "2M");
  EXPECT_EQ(linear_tick_text(0.0, 500000.0, 2e6), "0");
  EXPECT_EQ(linear_tick_text(0.3000000000000001, 0.1, 0.5), "0.3");
  EXPECT_EQ(linear_tick_text(-0.25, 0.05, 0.5), "−0.25");
  EXPECT_EQ(linear_tick_text(5000.0, 1000.0, 5000.0), "5000");
  EXPECT_EQ(linear_tick_text(20000.0, 5000.0, 20000.0), "20k");
}

TEST(NumberText, LogTicksAreShort) {
  EXPECT_EQ(log_tick_text(0.01), "0.01");
  EXPECT_EQ(log_tick_text(200.0), "200");
  EXPECT_EQ(log_tick_text(1e6), "10⁶");
  EXPECT_EQ(log_tick_text(5e-6), "5·10⁻⁶");
}

}  // namespace
}  // namespace orthant
