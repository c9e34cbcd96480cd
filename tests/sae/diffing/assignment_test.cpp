#include "sae/diffing/assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "runtime/core/rng.h"

namespace orthant::sae {
namespace {

constexpr double kEpsilon = 1e-6;

double value(uint64_t seed, int64_t row, int64_t column, int64_t columns) {
  return random_uniform(seed, Purpose::kTest, 1, static_cast<uint64_t>(row * columns + column));
}

std::vector<std::vector<Candidate>> all_pairs(int64_t rows, int64_t columns, uint64_t seed) {
  std::vector<std::vector<Candidate>> candidates(static_cast<size_t>(rows));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      candidates[static_cast<size_t>(r)].push_back({c, value(seed, r, c, columns)});
    }
  }
  return candidates;
}

// The largest sum over all ways, rows <= columns <= 8.
double best_sum(const std::vector<std::vector<Candidate>>& candidates, int64_t columns) {
  std::vector<int64_t> order(static_cast<size_t>(columns));
  std::iota(order.begin(), order.end(), 0);
  double best = 0.0;
  do {
    double sum = 0.0;
    for (size_t r = 0; r < std::min(candidates.size(), order.size()); ++r) {
      for (const Candidate& each : candidates[r]) {
        if (each.column == order[r]) sum += each.value;
      }
    }
    best = std::max(best, sum);
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

void expect_one_to_one(const Assignment& found) {
  std::vector<int64_t> taken = found.column;
  taken.erase(std::remove(taken.begin(), taken.end(), -1), taken.end());
  std::sort(taken.begin(), taken.end());
  EXPECT_TRUE(std::adjacent_find(taken.begin(), taken.end()) == taken.end());
}

TEST(Assignment, IsTheBestOfAllWays) {
  for (uint64_t seed = 1; seed < 20; ++seed) {
    const auto columns = static_cast<int64_t>(5 + seed % 3);
    const auto candidates = all_pairs(5, columns, seed);
    const std::vector<double> cuts(5, 0.0);
    const Assignment found = assign(candidates, cuts, columns, kEpsilon);
    expect_one_to_one(found);
    const double best = best_sum(candidates, columns);
    EXPECT_NEAR(found.sum, best, 5 * kEpsilon + 1e-12);
    EXPECT_GE(found.bound, best - 1e-12);
    EXPECT_LE(found.bound, found.sum + 5 * kEpsilon + 1e-12);
    EXPECT_EQ(found.bound, found.bound_of_all_pairs);
  }
}

TEST(Assignment, LeavesRowsWithoutAPairWhereColumnsAreFew) {
  const auto candidates = all_pairs(6, 3, 7);
  const std::vector<double> cuts(6, 0.0);
  const Assignment found = assign(candidates, cuts, 3, kEpsilon);
  expect_one_to_one(found);
  EXPECT_EQ(std::count(found.column.begin(), found.column.end(), -1), 3);
  std::vector<std::vector<Candidate>> turned(3);
  for (int64_t r = 0; r < 6; ++r) {
    for (const Candidate& each : candidates[static_cast<size_t>(r)]) {
      turned[static_cast<size_t>(each.column)].push_back({r, each.value});
    }
  }
  EXPECT_NEAR(found.sum, best_sum(turned, 6), 6 * kEpsilon);
}

// Two rows want one column: the greedy choice is not the best one.
TEST(Assignment, GivesWayWhereTheSumIsLarger) {
  const std::vector<std::vector<Candidate>> candidates = {{{0, 0.9}, {1, 0.8}}, {{0, 0.85}, {1, 0.1}}};
  const std::vector<double> cuts(2, 0.0);
  const Assignment found = assign(candidates, cuts, 2, kEpsilon);
  EXPECT_EQ(found.column, (std::vector<int64_t>{1, 0}));
}

TEST(Assignment, BoundsWhatWasPruned) {
  for (uint64_t seed = 1; seed < 10; ++seed) {
    const auto full = all_pairs(6, 7, seed);
    std::vector<std::vector<Candidate>> pruned = full;
    std::vector<double> cuts;
    for (auto& row : pruned) {
      std::sort(row.begin(), row.end(),
                [](const Candidate& a, const Candidate& b) { return a.value > b.value; });
      cuts.push_back(row[2].value);
      row.resize(2);
    }
    const Assignment found = assign(pruned, cuts, 7, kEpsilon);
    expect_one_to_one(found);
    const double best = best_sum(full, 7);
    EXPECT_LE(found.sum, best + 1e-12);
    EXPECT_GE(found.bound_of_all_pairs, best - 1e-12);
    EXPECT_GE(found.bound, found.sum - 1e-12);
  }
}

TEST(Assignment, TiesAndEmptyRowsEnd) {
  const std::vector<std::vector<Candidate>> ties = {
      {{0, 0.5}, {1, 0.5}}, {{0, 0.5}, {1, 0.5}}, {}, {{1, 0.5}}};
  const std::vector<double> cuts(4, 0.0);
  const Assignment found = assign(ties, cuts, 2, kEpsilon);
  expect_one_to_one(found);
  EXPECT_NEAR(found.sum, 1.0, 1e-12);
  EXPECT_EQ(assign({}, {}, 3, kEpsilon).sum, 0.0);
}

}  // namespace
}  // namespace orthant::sae
