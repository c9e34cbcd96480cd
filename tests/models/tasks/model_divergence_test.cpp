#include "models/tasks/model_divergence.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/reference_forward.h"

namespace orthant {
namespace {

using testing::MemoryModel;
using testing::ReferenceForward;

models::ModelConfig second_config() {
  models::ModelConfig config = testing::tiny_config();
  config.layers = 1;  // another model of the same vocabulary
  return config;
}

std::vector<std::vector<int32_t>> sequences() {
  return {{3, 7, 1, 10, 4, 4, 8}, {5}, {2, 9, 0}};
}

std::vector<double> log_probabilities(const std::vector<double>& logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0.0;
  for (const double logit : logits) sum += std::exp(logit - largest);
  std::vector<double> logs;
  for (const double logit : logits) logs.push_back(logit - largest - std::log(sum));
  return logs;
}

double divergence(const std::vector<double>& p, const std::vector<double>& q) {
  double sum = 0.0;
  for (size_t v = 0; v < p.size(); ++v) sum += std::exp(p[v]) * (p[v] - q[v]);
  return sum;
}

TEST(ModelDivergence, IsThatOfTheDistributionsInDoublePrecision) {
  const MemoryModel a(testing::tiny_config()), b(second_config());
  Memory memory;
  Stream stream;
  const models::Weights of_a = models::load_weights(a, {}, memory, stream);
  const models::Weights of_b = models::load_weights(b, {}, memory, stream);
  models::DivergenceMeter meter(of_a, of_b, {.tokens = 11, .sequences = 3, .positions = 7}, memory, stream);
  models::BatchBuilder builder;
  for (const auto& ids : sequences()) builder.add(ids);
  const models::TokenDivergences found = meter.measure(builder.batch());
  EXPECT_EQ(found.rows, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 8, 9}));
  size_t i = 0;
  for (const auto& ids : sequences()) {
    std::vector<testing::Rows> ignored;
    const testing::Rows logits_a = ReferenceForward(a).logits(ids, ignored);
    const testing::Rows logits_b = ReferenceForward(b).logits(ids, ignored);
    for (size_t t = 0; t + 1 < ids.size(); ++t, ++i) {
      const auto p = log_probabilities(logits_a[t]), q = log_probabilities(logits_b[t]);
      const auto next = static_cast<size_t>(ids[t + 1]);
      // Logits are f32 sums of about 40 terms of order one.
      constexpr double kTolerance = 1e-4;
      EXPECT_NEAR(found.nll[i], -p[next], kTolerance);
      EXPECT_NEAR(found.other_nll[i], -q[next], kTolerance);
      EXPECT_NEAR(found.kl[i], divergence(p, q), kTolerance);
      EXPECT_NEAR(found.reverse_kl[i], divergence(q, p), kTolerance);
      const auto best = [](const std::vector<double>& logs) {
        return std::max_element(logs.begin(), logs.end()) - logs.begin();
      };
      EXPECT_EQ(found.agree[i], best(p) == best(q));
    }
  }
  EXPECT_EQ(i, found.kl.size());
  EXPECT_GT(*std::max_element(found.kl.begin(), found.kl.end()), 0.01) << "the models differ";
}

TEST(ModelDivergence, OfAModelFromItselfIsZero) {
  const MemoryModel a(testing::tiny_config());
  Memory memory;
  Stream stream;
  const models::Weights weights = models::load_weights(a, {}, memory, stream);
  models::DivergenceMeter meter(weights, weights, {.tokens = 7, .sequences = 1, .positions = 7}, memory,
                                stream);
  models::BatchBuilder builder;
  builder.add(sequences()[0]);
  const models::TokenDivergences found = meter.measure(builder.batch());
  ASSERT_EQ(found.kl.size(), 6u);
  for (size_t i = 0; i < found.kl.size(); ++i) {
    EXPECT_EQ(found.kl[i], 0.0);
    EXPECT_EQ(found.reverse_kl[i], 0.0);
    EXPECT_EQ(found.nll[i], found.other_nll[i]);
    EXPECT_TRUE(found.agree[i]);
  }
}

TEST(ModelDivergence, OfSequencesOfOneTokenIsNothing) {
  const MemoryModel a(testing::tiny_config());
  Memory memory;
  Stream stream;
  const models::Weights weights = models::load_weights(a, {}, memory, stream);
  models::DivergenceMeter meter(weights, weights, {.tokens = 2, .sequences = 2, .positions = 1}, memory,
                                stream);
  models::BatchBuilder builder;
  builder.add(std::vector<int32_t>{3});
  builder.add(std::vector<int32_t>{4});
  EXPECT_TRUE(meter.measure(builder.batch()).rows.empty());
}

}  // namespace
}  // namespace orthant
