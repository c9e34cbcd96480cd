// Tasks over a language model: the same numbers on the CPU and on the device.
#include <gtest/gtest.h>

#include "models/tasks/edit_effect.h"
#include "models/tasks/generation.h"
#include "models/tasks/pair_scoring.h"
#include "models/tasks/window_perplexity.h"
#include "tests/device/device.h"
#include "tests/support/memory_model.h"

namespace orthant {
namespace {

using models::HookSite;
using testing::MemoryModel;

// As of logits (forward_test.cpp).
constexpr double kClose = 1e-4;
constexpr auto kQuiet = [](int64_t) {};

std::vector<int32_t> some_tokens(int64_t count, int32_t seed) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>((i * i * 5 + i + seed) % 11));
  return ids;
}

struct LoadedModel {
  explicit LoadedModel(Device device) : memory(device), stream(device) {
    weights = models::load_weights(MemoryModel(testing::varied_config()), {}, memory, stream);
  }
  Memory memory;
  Stream stream;
  models::Weights weights;
};

class TasksOnDevice : public testing::DeviceTest {
 protected:
  void SetUp() override {
    testing::DeviceTest::SetUp();
    if (!IsSkipped() && !HasFailure()) model = std::make_unique<LoadedModel>(testing::device());
  }
  LoadedModel cpu{kCpu};
  std::unique_ptr<LoadedModel> model;
};

TEST_F(TasksOnDevice, WindowsHaveTheNllOfTheCpu) {
  const auto ids = some_tokens(105, 3);
  const auto nll_of = [&](LoadedModel& at) {
    return models::window_nll(at.weights, ids, 20, {0, 5}, kQuiet, at.memory, at.stream);
  };
  const auto expected = nll_of(cpu), found = nll_of(*model);
  ASSERT_EQ(found.size(), 5u);
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], kClose);
}

TEST_F(TasksOnDevice, PairsHaveTheScoresOfTheCpu) {
  const std::vector<models::TokenPair> pairs = {
      {{1, 2, 3}, {4, 5}}, {{1, 2, 3}, {9}}, {{1, 2, 3}, {4}}, {{7}, some_tokens(40, 1)}};
  const auto scores_of = [&](LoadedModel& at) {
    return models::score_pairs(at.weights, pairs, {}, at.memory, at.stream).pairs;
  };
  const auto expected = scores_of(cpu), found = scores_of(*model);
  for (size_t i = 0; i < pairs.size(); ++i) {
    EXPECT_NEAR(found[i].log_prob, expected[i].log_prob, kClose * static_cast<double>(found[i].tokens));
    EXPECT_EQ(found[i].greedy, expected[i].greedy);
    EXPECT_EQ(found[i].tokens, expected[i].tokens);
  }
}

TEST_F(TasksOnDevice, GeneratesTheTokensOfTheCpu) {
  const std::vector<std::vector<int32_t>> prompts = {{1, 2, 3}, some_tokens(30, 5), {9}};
  for (const double temperature : {0.0, 1.0}) {
    const auto tokens_of = [&](LoadedModel& at) {
      return models::generate(at.weights, prompts,
                              {.max_new_tokens = 12, .temperature = temperature, .seed = 4}, at.memory,
                              at.stream);
    };
    EXPECT_EQ(tokens_of(*model), tokens_of(cpu)) << temperature;
  }
}

// Adds to some coordinates of every row.
class Shift : public ResidualEdit {
 public:
  void apply(Matrix<float> residual, std::span<const int32_t>, std::span<const int32_t>,
             std::span<const int32_t>) override {
    std::vector<float> values = testing::on_host(residual);
    for (size_t i = 0; i < values.size(); ++i) values[i] += 0.7f * static_cast<float>(i % 5);
    copy_bytes(residual.data, residual.device, values.data(), kCpu, residual.bytes());
  }
};

TEST_F(TasksOnDevice, EditsCostWhatTheyCostOnTheCpu) {
  models::BatchBuilder batch;
  for (const int64_t length : {1, 150, 9}) batch.add(some_tokens(length, 4));
  const auto effects_of = [&](LoadedModel& at) {
    Shift shift;
    ResidualEdit* const edits[] = {&shift};
    models::EditMeter meter(at.weights, {160, 3, 150}, 1, at.memory, at.stream);
    return meter.measure(batch.batch(), {1, HookSite::kResidPost}, edits);
  };
  const auto expected = effects_of(cpu), found = effects_of(*model);
  ASSERT_EQ(found.rows, expected.rows);
  double kl = 0.0;
  for (size_t i = 0; i < found.rows.size(); ++i) {
    EXPECT_NEAR(found.original_nll[i], expected.original_nll[i], kClose);
    EXPECT_NEAR(found.edits[0].nll[i], expected.edits[0].nll[i], kClose);
    EXPECT_NEAR(found.edits[0].kl[i], expected.edits[0].kl[i], kClose);
    kl += found.edits[0].kl[i];
  }
  EXPECT_GT(kl, 0.1);
}

}  // namespace
}  // namespace orthant
