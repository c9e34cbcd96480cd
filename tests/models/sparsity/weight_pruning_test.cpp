#include "models/sparsity/weight_pruning.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/random_matrix.h"

namespace orthant::models {
namespace {

using orthant::testing::HostMatrix;
using orthant::testing::random_matrix;
using orthant::testing::same_bits;

HostMatrix matrix_of(int64_t rows, int64_t columns, std::vector<float> values) {
  HostMatrix matrix(rows, columns);
  matrix.values = std::move(values);
  return matrix;
}

std::vector<float> by_magnitude(HostMatrix weights, const WeightPattern& pattern) {
  Stream stream;
  prune_by_magnitude(weights.view(), pattern, stream);
  return weights.values;
}

std::vector<float> by_wanda(HostMatrix weights, std::vector<float> norms, const WeightPattern& pattern) {
  Stream stream;
  prune_by_wanda(weights.view(), {norms.data(), {weights.columns}}, pattern, stream);
  return weights.values;
}

int64_t zeros(const std::vector<float>& values) {
  return std::count(values.begin(), values.end(), 0.0f);
}

TEST(WeightPruning, KeepsTheLargestOfEachGroup) {
  const HostMatrix weights = matrix_of(2, 8,
                                       {.5f, -1, .25f, .1f, .3f, 2, -.6f, .4f,  //
                                        .2f, .8f, -.9f, .05f, -.1f, 1.5f, .7f, -.3f});
  EXPECT_EQ(by_magnitude(weights, {{2, 4}}),
            (std::vector<float>{.5f, -1, 0, 0, 0, 2, -.6f, 0, 0, .8f, -.9f, 0, 0, 1.5f, .7f, 0}));
  EXPECT_EQ(by_magnitude(weights, {{4, 8}}),
            (std::vector<float>{.5f, -1, 0, 0, 0, 2, -.6f, 0, 0, .8f, -.9f, 0, 0, 1.5f, .7f, 0}));
}

TEST(WeightPruning, TiesOfAGroupGoToTheLowestInput) {
  EXPECT_EQ(by_magnitude(matrix_of(1, 4, {1, -1, 1, -1}), {{2, 4}}), (std::vector<float>{1, -1, 0, 0}));
}

TEST(WeightPruning, AllOfAGroupKeepsEveryBit) {
  const HostMatrix weights = random_matrix(5, 12, 1);
  EXPECT_TRUE(same_bits(by_magnitude(weights, {{4, 4}}), weights.values));
  EXPECT_TRUE(same_bits(by_magnitude(weights, {{}, 0.0}), weights.values));
  EXPECT_TRUE(same_bits(by_wanda(weights, std::vector<float>(12, 2.0f), {{4, 4}}), weights.values));
  EXPECT_TRUE(same_bits(by_wanda(weights, std::vector<float>(12, 2.0f), {{}, 0.0}), weights.values));
}

// t is the k-th smallest, and what equals it stays: k - 1 go.
TEST(WeightPruning, UnstructuredMagnitudeKeepsWhatEqualsTheThreshold) {
  const HostMatrix weights = matrix_of(2, 3, {3, -1, 4, -2, 6, 5});
  EXPECT_EQ(by_magnitude(weights, {{}, 0.5}), (std::vector<float>{3, 0, 4, 0, 6, 5}));
  EXPECT_EQ(by_magnitude(weights, {{}, 1.0}), (std::vector<float>{0, 0, 0, 0, 6, 0}));
  EXPECT_EQ(by_magnitude(weights, {{}, 0.16}), weights.values);
}

TEST(WeightPruning, UnstructuredMagnitudeKeepsAllThatTieAtTheThreshold) {
  EXPECT_EQ(by_magnitude(matrix_of(1, 6, {1, 2, -2, 2, 2, 3}), {{}, 0.5}),
            (std::vector<float>{0, 2, -2, 2, 2, 3}));
}

TEST(WeightPruning, AShareIsRoundedDownAsTheProductOfDoubles) {
  EXPECT_EQ(share_of_weights(4096, 0.7), 2867);
  EXPECT_EQ(share_of_weights(10, 0.3), 3);
  EXPECT_EQ(share_of_weights(100, 0.29), 28);  // 0.29 * 100 is just below 29
  EXPECT_EQ(share_of_weights(0, 0.5), 0);
}

TEST(WeightPruning, WandaWeighsAnInputByItsNorm) {
  const HostMatrix weights = matrix_of(1, 4, {1, .9f, .5f, .1f});
  EXPECT_EQ(by_wanda(weights, {1, 1, 10, 100}, {{2, 4}}), (std::vector<float>{0, 0, .5f, .1f}));
  EXPECT_EQ(by_wanda(weights, {1, 1, 1, 1}, {{2, 4}}), (std::vector<float>{1, .9f, 0, 0}));
}

TEST(WeightPruning, WandaRemovesTheSameShareOfEveryRow) {
  const HostMatrix weights = random_matrix(7, 11, 3);
  const std::vector<float> norms = random_matrix(1, 11, 4).values;
  std::vector<float> sizes;
  for (const float norm : norms) sizes.push_back(std::fabs(norm));
  const std::vector<float> pruned = by_wanda(weights, sizes, {{}, 0.5});
  for (size_t row = 0; row < 7; ++row) {
    const std::vector<float> kept(pruned.begin() + row * 11, pruned.begin() + (row + 1) * 11);
    EXPECT_EQ(zeros(kept), 5);
    float smallest_kept = std::numeric_limits<float>::infinity(), largest_removed = 0.0f;
    for (size_t i = 0; i < 11; ++i) {
      const float score = std::fabs(weights.values[row * 11 + i]) * sizes[i];
      if (kept[i] != 0.0f) smallest_kept = std::min(smallest_kept, score);
      if (kept[i] == 0.0f) largest_removed = std::max(largest_removed, score);
    }
    EXPECT_GT(smallest_kept, largest_removed);
  }
}

TEST(WeightPruning, NoWeightsAreFine) {
  EXPECT_TRUE(by_magnitude(HostMatrix(0, 4), {{2, 4}}).empty());
  EXPECT_TRUE(by_magnitude(HostMatrix(0, 4), {{}, 0.5}).empty());
}

}  // namespace
}  // namespace orthant::models
