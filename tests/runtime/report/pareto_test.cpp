#include "runtime/report/pareto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace orthant {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Pareto, KeepsWhatNoOtherPointBeats) {
  const std::vector<double> costs = {64, 16, 32, 32, 8, 128};
  const std::vector<double> gains = {0.7, 0.5, 0.8, 0.6, 0.5, 0.9};
  EXPECT_THAT(pareto_frontier(costs, gains), ElementsAre(4, 2, 5));
}

TEST(Pareto, TakesTheFirstOfEqualPointsAndNoneThatIsNotFinite) {
  const std::vector<double> costs = {1, 1, NAN, 0};
  const std::vector<double> gains = {2, 2, 9, INFINITY};
  EXPECT_THAT(pareto_frontier(costs, gains), ElementsAre(0));
  EXPECT_THAT(pareto_frontier({}, {}), IsEmpty());
}

// By the definition, on points with many ties.
TEST(Pareto, IsTheDefinition) {
  std::minstd_rand random(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<double> costs(40), gains(40);
    for (size_t i = 0; i < 40; ++i) {
      costs[i] = static_cast<double>(random() % 9);
      gains[i] = static_cast<double>(random() % 9);
    }
    const std::vector<size_t> frontier = pareto_frontier(costs, gains);
    for (size_t i = 0; i < 40; ++i) {
      bool beaten = false;
      for (size_t j = 0; j < 40; ++j) {
        const bool as_good = costs[j] <= costs[i] && gains[j] >= gains[i];
        const bool better = costs[j] < costs[i] || gains[j] > gains[i];
        beaten |= as_good && (better || j < i);
      }
      EXPECT_EQ(std::find(frontier.begin(), frontier.end(), i) != frontier.end(), !beaten);
    }
  }
}

}  // namespace
}  // namespace orthant
