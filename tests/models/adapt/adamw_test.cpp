#include "models/adapt/adamw.h"

#include <gtest/gtest.h>

#include <cmath>

namespace orthant {
namespace {

using models::AdamW;
using models::AdamWSettings;

TEST(AdamW, FollowsTheFormulasWithClippingDecayAndTheSchedule) {
  const AdamWSettings settings{.lr = 0.1,
                               .beta1 = 0.8,
                               .beta2 = 0.9,
                               .epsilon = 1e-6,
                               .weight_decay = 0.05,
                               .warm_up = 0.25,
                               .clip_norm = 0.5};
  std::vector<float> a = {1.0f, -2.0f, 0.5f}, b = {0.25f};
  std::vector<double> expected = {1.0, -2.0, 0.5, 0.25}, m(4, 0.0), v(4, 0.0);
  AdamW optimiser(settings, 12);
  for (int step = 0; step < 12; ++step) {
    std::vector<float> of_a = {0.3f * static_cast<float>(step), -1.0f, 0.01f}, of_b = {2.0f};
    const std::vector<double> gradient = {of_a[0] * 0.5, of_a[1] * 0.5, of_a[2] * 0.5, of_b[0] * 0.5};
    double squares = 0.0;
    for (const double g : gradient) squares += g * g;
    const double clip = std::min(1.0, 0.5 / (std::sqrt(squares) + 1e-6));
    const double lr = step < 3 ? 0.1 * step / 3.0 : 0.1 * (12.0 - step) / 9.0;
    for (size_t i = 0; i < 4; ++i) {
      m[i] = 0.8 * m[i] + 0.2 * clip * gradient[i];
      v[i] = 0.9 * v[i] + 0.1 * clip * clip * gradient[i] * gradient[i];
      expected[i] *= 1.0 - lr * 0.05;
      expected[i] -= lr * (m[i] / (1.0 - std::pow(0.8, step + 1))) /
                     (std::sqrt(v[i] / (1.0 - std::pow(0.9, step + 1))) + 1e-6);
    }
    const std::vector<std::span<float>> parameters = {a, b}, gradients = {of_a, of_b};
    optimiser.step(parameters, gradients, 0.5);
    for (size_t i = 0; i < 3; ++i) ASSERT_NEAR(a[i], expected[i], 1e-5) << step;
    ASSERT_NEAR(b[0], expected[3], 1e-5) << step;
  }
}

TEST(AdamW, ContinuesFromAStateWithTheSameBits) {
  std::vector<float> whole = {1.0f, 2.0f}, parts = whole;
  const auto step = [](AdamW& optimiser, std::vector<float>& values, int index) {
    std::vector<float> gradient = {0.1f * static_cast<float>(index), -0.3f};
    const std::vector<std::span<float>> parameters = {values}, gradients = {gradient};
    optimiser.step(parameters, gradients, 1.0);
  };
  AdamW one({.lr = 0.01}, 8), first({.lr = 0.01}, 8), second({.lr = 0.01}, 8);
  for (int i = 0; i < 8; ++i) step(one, whole, i);
  for (int i = 0; i < 3; ++i) step(first, parts, i);
  second.restore(first.state());
  EXPECT_EQ(second.steps_taken(), 3);
  for (int i = 3; i < 8; ++i) step(second, parts, i);
  EXPECT_EQ(whole, parts);
}

TEST(AdamW, SchedulesFewStepsWithoutWarmUp) {
  EXPECT_DOUBLE_EQ(models::scheduled_lr({.lr = 2.0}, 0, 4), 2.0);
  EXPECT_DOUBLE_EQ(models::scheduled_lr({.lr = 2.0}, 3, 4), 0.5);
  EXPECT_DOUBLE_EQ(models::scheduled_lr({.lr = 2.0}, 0, 256), 0.0);
  EXPECT_DOUBLE_EQ(models::scheduled_lr({.lr = 2.0}, 7, 256), 2.0);
  EXPECT_EQ(models::warm_up_steps({.rounds_warm_up_up = true}, 8), 1);
  EXPECT_EQ(models::warm_up_steps({}, 8), 0);
  EXPECT_DOUBLE_EQ(models::scheduled_lr({.lr = 2.0, .rounds_warm_up_up = true}, 0, 8), 0.0);
  EXPECT_DOUBLE_EQ(models::scheduled_lr({.lr = 2.0, .rounds_warm_up_up = true}, 1, 8), 2.0);
}

}  // namespace
}  // namespace orthant
