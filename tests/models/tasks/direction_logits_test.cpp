#include "models/tasks/direction_logits.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/random_codes.h"

namespace orthant::models {
namespace {

using testing::random_matrix;

kernels::PackedWeights packed(const Tensor<float, 2>& rows) {
  Stream stream;
  kernels::PackedWeights weights(testing::test_memory(), "test", rows.shape()[0], rows.shape()[1]);
  weights.pack(rows.view(), stream);
  return weights;
}

TEST(DirectionLogits, AreTheExtremesOfTheProductWithTheHead) {
  const int64_t width = 24, vocabulary = 300, count = 70;  // more than one block
  const Tensor<float, 2> head = random_matrix(vocabulary, width, 1),
                         directions = random_matrix(count, width, 2);
  const auto found = direction_logits(directions.view(), packed(head), 7, testing::test_memory());
  ASSERT_EQ(found.size(), static_cast<size_t>(count));
  for (int64_t r = 0; r < count; ++r) {
    std::vector<std::pair<double, int32_t>> all;
    for (int64_t t = 0; t < vocabulary; ++t) {
      double logit = 0.0;
      for (int64_t c = 0; c < width; ++c) {
        logit += static_cast<double>(directions.view().row(r)[c]) * head.view().row(t)[c];
      }
      all.emplace_back(logit, static_cast<int32_t>(t));
    }
    std::sort(all.begin(), all.end());
    const DirectionLogits& each = found[static_cast<size_t>(r)];
    ASSERT_EQ(each.largest.size(), 7u);
    for (size_t i = 0; i < 7; ++i) {
      EXPECT_EQ(each.smallest[i].token, all[i].second);
      EXPECT_EQ(each.largest[i].token, all[all.size() - 1 - i].second);
      EXPECT_NEAR(each.largest[i].logit, all[all.size() - 1 - i].first, 1e-5);
    }
  }
}

TEST(DirectionLogits, TiesGoToTheLowestTokenAndASmallVocabularyIsGivenWhole) {
  Tensor<float, 2> head = testing::zero_matrix(4, 2);
  head.view().row(2)[0] = 1.0f;
  Tensor<float, 2> direction = testing::zero_matrix(1, 2);
  direction.data()[0] = 1.0f;
  const auto found = direction_logits(direction.view(), packed(head), 9, testing::test_memory());
  std::vector<int32_t> largest, smallest;
  for (const TokenLogit& each : found[0].largest) largest.push_back(each.token);
  for (const TokenLogit& each : found[0].smallest) smallest.push_back(each.token);
  EXPECT_EQ(largest, (std::vector<int32_t>{2, 0, 1, 3}));
  EXPECT_EQ(smallest, (std::vector<int32_t>{0, 1, 3, 2}));
}

TEST(DirectionLogits, NoDirectionsGiveNone) {
  const Tensor<float, 2> head = random_matrix(5, 3, 1);
  EXPECT_TRUE(
      direction_logits(testing::zero_matrix(0, 3).view(), packed(head), 2, testing::test_memory()).empty());
}

}  // namespace
}  // namespace orthant::models
