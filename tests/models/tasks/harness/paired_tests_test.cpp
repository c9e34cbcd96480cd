#include "models/tasks/harness/paired_tests.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/rng.h"
#include "tests/support/code_of.h"

namespace orthant::models {
namespace {

using Values = std::vector<double>;

// `first_only` and `second_only` documents that differ among ten that do not.
McNemarTest of(int first_only, int second_only) {
  Values first(10, 1.0), second(10, 1.0);
  for (int i = 0; i < first_only + second_only; ++i) {
    first.push_back(i < first_only ? 1.0 : 0.0);
    second.push_back(i < first_only ? 0.0 : 1.0);
  }
  return mcnemar_test(first, second);
}

// Twice the lower tail, by Pascal's triangle.
double exact(int differing, int least) {
  Values row = {1.0};
  for (int n = 0; n < differing; ++n) {
    Values next(row.size() + 1, 0.0);
    for (size_t k = 0; k < row.size(); ++k) {
      next[k] += row[k] / 2.0;
      next[k + 1] += row[k] / 2.0;
    }
    row = next;
  }
  double tail = 0.0;
  for (int k = 0; k <= least; ++k) tail += row[static_cast<size_t>(k)];
  return std::min(1.0, 2.0 * tail);
}

TEST(McNemar, IsTheExactBinomialTest) {
  EXPECT_DOUBLE_EQ(of(0, 5).p_value, 2.0 / 32.0);
  EXPECT_DOUBLE_EQ(of(1, 9).p_value, 22.0 / 1024.0);
  EXPECT_EQ(of(4, 4).p_value, 1.0);
  EXPECT_EQ(of(0, 0).p_value, 1.0);
  for (const auto& [a, b] : {std::pair{3, 20}, {60, 41}, {300, 350}, {2000, 1900}}) {
    const McNemarTest test = of(a, b);
    EXPECT_EQ(test.first_only, a);
    EXPECT_EQ(test.second_only, b);
    EXPECT_NEAR(test.p_value / exact(a + b, std::min(a, b)), 1.0, 1e-9);
    EXPECT_EQ(of(b, a).p_value, test.p_value);
  }
}

TEST(McNemar, RefusesOtherValues) {
  EXPECT_EQ(testing::code_of([] { (void)mcnemar_test(Values{0.5}, Values{1.0}); }), ExitCode::kInternal);
  EXPECT_EQ(testing::code_of([] { (void)mcnemar_test(Values{1.0}, Values{}); }), ExitCode::kInternal);
}

TEST(PairedBootstrap, HasTheErrorOfTheMeanDifference) {
  Values first, second;
  double mean = 0.0, squares = 0.0;
  const int count = 403;  // no whole number of draws of four
  for (int i = 0; i < count; ++i) {
    const double shared = 5.0 * random_normal(1, Purpose::kTest, 0, static_cast<uint64_t>(i));
    const double step = 0.3 + random_normal(1, Purpose::kTest, 1, static_cast<uint64_t>(i));
    first.push_back(shared);
    second.push_back(shared + step);
    mean += step / count;
    squares += step * step;
  }
  // The bootstrap's variance is that of the population of differences over their number.
  const double error = std::sqrt((squares / count - mean * mean) / count);
  const PairedDifference found = paired_bootstrap(first, second, 7);
  EXPECT_NEAR(found.mean, mean, 1e-12);
  // Of 10000 resamples: relative error 1 / sqrt(2 * 10000) of the deviation, 2.7 / 100 deviations of an end.
  EXPECT_NEAR(found.standard_error, error, 4.0 * error / std::sqrt(20000.0));
  EXPECT_NEAR(found.low, mean - 1.96 * error, 0.15 * error);
  EXPECT_NEAR(found.high, mean + 1.96 * error, 0.15 * error);
}

TEST(PairedBootstrap, IsAFunctionOfItsSeed) {
  const Values first = {1, 0, 1, 1, 0, 0, 1}, second = {1, 1, 0, 1, 0, 1, 1};
  const PairedDifference found = paired_bootstrap(first, second, 3, 500);
  const PairedDifference again = paired_bootstrap(first, second, 3, 500);
  EXPECT_EQ(found.standard_error, again.standard_error);
  EXPECT_EQ(found.low, again.low);
  EXPECT_NE(found.standard_error, paired_bootstrap(first, second, 4, 500).standard_error);
  const PairedDifference reversed = paired_bootstrap(second, first, 3, 500);
  EXPECT_EQ(reversed.mean, -found.mean);
  EXPECT_NEAR(reversed.standard_error, found.standard_error, 1e-12);
}

TEST(PairedBootstrap, SeesNoSpreadWhereThereIsNone) {
  const PairedDifference found = paired_bootstrap(Values{1, 2, 3}, Values{2, 3, 4}, 1, 100);
  EXPECT_EQ(found.mean, 1.0);
  EXPECT_EQ(found.standard_error, 0.0);
  EXPECT_EQ(found.low, 1.0);
  EXPECT_EQ(found.high, 1.0);
  EXPECT_EQ(testing::code_of([] { (void)paired_bootstrap({}, {}, 1); }), ExitCode::kInternal);
}

}  // namespace
}  // namespace orthant::models
