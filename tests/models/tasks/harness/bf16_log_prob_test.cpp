#include "models/tasks/harness/bf16_log_prob.h"

#include <gtest/gtest.h>

#include <vector>

namespace orthant::models {
namespace {

double of(std::vector<float> log_probs) {
  return bf16_log_prob(log_probs);
}

TEST(Bf16LogProb, RoundsToTheNearestEven) {
  EXPECT_EQ(of({-20.05f}), -20.0);
  EXPECT_EQ(of({-20.07f}), -20.125);
  EXPECT_EQ(of({-0.3333f}), -0.333984375);
  for (const float tied : {-5.019f, -5.02f, -5.03f}) EXPECT_EQ(of({tied}), -5.03125);
  EXPECT_EQ(of({}), 0.0);
}

TEST(Bf16LogProb, RoundsTheSumOnce) {
  EXPECT_EQ(of({-5.02f, -0.3333f}), -5.375);  // exactly -5.365234375
  // Four terms of 2^-9 are lost one by one beside 1 in bf16, and not in f32.
  EXPECT_EQ(of({-1.0f, -0.001953125f, -0.001953125f, -0.001953125f, -0.001953125f}), -1.0078125);
}

}  // namespace
}  // namespace orthant::models
