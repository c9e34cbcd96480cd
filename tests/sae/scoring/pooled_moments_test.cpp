#include "sae/scoring/pooled_moments.h"

#include <gtest/gtest.h>

#include <cmath>

namespace orthant::sae {
namespace {

GroupMoments of(std::initializer_list<double> values) {
  GroupMoments moments;
  for (const double value : values) {
    ++moments.count;
    moments.sum += value;
    moments.squares += value * value;
  }
  return moments;
}

TEST(CohensD, IsTheDifferenceInPooledDeviations) {
  // Variances 1 and 4 with two degrees of freedom each: the pooled deviation is sqrt(2.5).
  EXPECT_NEAR(cohens_d(of({1, 2, 3}), of({-4, -2, 0})), 4.0 / std::sqrt(2.5), 1e-14);
  EXPECT_NEAR(cohens_d(of({-4, -2, 0}), of({1, 2, 3})), -4.0 / std::sqrt(2.5), 1e-14);
  // Groups of unequal sizes: (2 * 1 + 1 * 0.5) / 3.
  EXPECT_NEAR(cohens_d(of({1, 2, 3}), of({0, 1})), 1.5 / std::sqrt(2.5 / 3.0), 1e-14);
}

TEST(CohensD, WithoutSpreadOrValuesIsFinite) {
  EXPECT_EQ(cohens_d(of({2, 2}), of({2, 2, 2})), 0.0);
  EXPECT_NEAR(cohens_d(of({3, 3}), of({2, 2})), 1e12, 1.0);
  EXPECT_EQ(cohens_d(of({}), of({2, 3})), 0.0);
  EXPECT_EQ(cohens_d(of({1}), of({0})), 1e12);
}

}  // namespace
}  // namespace orthant::sae
