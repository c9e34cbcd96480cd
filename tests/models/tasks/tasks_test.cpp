#include <gtest/gtest.h>

#include <cmath>

#include "models/tasks/edit_effect.h"
#include "models/tasks/window_perplexity.h"
#include "runtime/core/error.h"
#include "tests/support/reference_forward.h"

namespace orthant {
namespace {

using models::HookSite;
using testing::MemoryModel;
using testing::varied_config;

constexpr auto kQuiet = [](int64_t) {};

class Tasks : public ::testing::Test {
 protected:
  // log p(ids[t + 1] | ids[..t]) for all but the last, from the formulas.
  [[nodiscard]] std::vector<double> reference_log_probs(const std::vector<int32_t>& ids) const {
    std::vector<testing::Rows> ignored;
    const testing::Rows logits = testing::ReferenceForward(model).logits(ids, ignored);
    std::vector<double> result;
    for (size_t t = 0; t + 1 < ids.size(); ++t) {
      double sum = 0.0;
      for (const double logit : logits[t]) sum += std::exp(logit);
      result.push_back(logits[t][static_cast<size_t>(ids[t + 1])] - std::log(sum));
    }
    return result;
  }
  static std::vector<int32_t> tokens(int64_t count, int32_t seed) {
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>((i * i * 5 + i + seed) % 11));
    return ids;
  }

  Memory memory;
  Stream stream;
  MemoryModel model{varied_config()};
  models::Weights weights = models::load_weights(model, {}, memory, stream);
};

TEST_F(Tasks, WindowNllMatchesTheFormulasWhateverTheShare) {
  const auto ids = tokens(105, 3);
  ASSERT_EQ(models::count_windows(105, 20, 0, 512), 5);
  const auto nll = models::window_nll(weights, ids, 20, {0, 5}, kQuiet, memory, stream);
  for (int64_t w = 0; w < 5; ++w) {
    const auto log_probs = reference_log_probs({ids.begin() + w * 20, ids.begin() + (w + 1) * 20});
    double mean = 0.0;
    for (const double value : log_probs) mean -= value / 19.0;
    EXPECT_NEAR(nll[static_cast<size_t>(w)], mean, 5e-5);
    EXPECT_EQ(models::window_nll(weights, ids, 20, {w, 1}, kQuiet, memory, stream)[0],
              nll[static_cast<size_t>(w)]);
  }
  EXPECT_TRUE(models::window_nll(weights, ids, 20, {5, 0}, kQuiet, memory, stream).empty());
}

TEST_F(Tasks, WindowsThatCannotBeAreRefused) {
  EXPECT_EQ(models::count_windows(105, 20, 3, 512), 3);
  EXPECT_THROW((void)models::count_windows(19, 20, 0, 512), Error);
  EXPECT_THROW((void)models::count_windows(1000, 513, 0, 512), Error);
  EXPECT_THROW((void)models::count_windows(1000, 1, 0, 512), Error);
}

// Adds a constant to every coordinate.
class Shift : public ResidualEdit {
 public:
  explicit Shift(float amount) : amount_(amount) {}
  void apply(Matrix<float> residual, std::span<const int32_t>, std::span<const int32_t>,
             std::span<const int32_t>) override {
    for (float& value : residual.span()) value += amount_ * static_cast<float>((&value - residual.data) % 5);
  }

 private:
  float amount_;
};

TEST_F(Tasks, EditEffectsAreZeroForNoChangeAndAddUpOtherwise) {
  models::BatchBuilder batch;
  for (const int64_t length : {1, 150, 9}) batch.add(tokens(length, 4));
  Shift nothing(0.0f), something(0.7f);
  ResidualEdit* const edits[] = {&nothing, &something};
  models::EditMeter meter(weights, {160, 3, 150}, 2, memory, stream);
  const auto effects = meter.measure(batch.batch(), {1, HookSite::kResidPost}, edits);
  ASSERT_EQ(effects.rows.size(), 149u + 8u);
  EXPECT_EQ(effects.rows.front(), 1);
  EXPECT_EQ(effects.edits[0].nll, effects.original_nll);
  for (const double kl : effects.edits[0].kl) EXPECT_EQ(kl, 0.0);
  double mean_kl = 0.0;
  for (const double kl : effects.edits[1].kl) mean_kl += kl / 157.0;
  EXPECT_GT(mean_kl, 1e-3);
  for (const double kl : effects.edits[1].kl) EXPECT_GT(kl, -1e-6);
  const auto log_probs = reference_log_probs(tokens(150, 4));
  for (size_t i = 0; i < 149; ++i) EXPECT_NEAR(effects.original_nll[i], -log_probs[i], 1e-4);
}

}  // namespace
}  // namespace orthant
