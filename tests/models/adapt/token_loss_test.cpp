#include "models/adapt/token_loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/central_difference.h"
#include "tests/support/memory_model.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

double reference_loss(const testing::MemoryModel& model, testing::NormalMatrix& residual,
                      const std::vector<int32_t>& ids) {
  const auto& norm = model.at("model.norm.weight").values;
  const auto& head = model.at("lm_head.weight").values;
  const int64_t tokens = residual.view().shape[0], width = residual.view().shape[1];
  double loss = 0.0;
  for (int64_t t = 0; t + 1 < tokens; ++t) {
    const float* const row = residual.view().row(t);
    double squares = 0.0;
    for (int64_t i = 0; i < width; ++i) squares += static_cast<double>(row[i]) * row[i];
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(width) + 1e-5);
    std::vector<double> logits;
    double sum = 0.0;
    for (size_t v = 0; v < head.size() / static_cast<size_t>(width); ++v) {
      double logit = 0.0;
      for (int64_t i = 0; i < width; ++i) {
        const auto c = static_cast<size_t>(i);
        logit += row[i] * scale * norm[c] * head[v * static_cast<size_t>(width) + c];
      }
      logits.push_back(logit);
      sum += std::exp(logit);
    }
    loss += std::log(sum) - logits[static_cast<size_t>(ids[static_cast<size_t>(t + 1)])];
  }
  return loss / static_cast<double>(tokens - 1);
}

TEST(TokenLoss, IsTheMeanOfTheNextTokensAndItsSlope) {
  testing::MemoryModel model(testing::varied_config());
  Memory memory;
  Stream stream;
  const models::Weights weights = models::load_weights(model, {}, memory, stream);
  const int64_t tokens = 70;  // more than one block of logits
  testing::NormalMatrix residual(tokens, 24, 1), gradient(tokens, 24, 2);
  std::vector<int32_t> ids;
  for (int64_t t = 0; t < tokens; ++t) ids.push_back(static_cast<int32_t>(t * t % 11));
  models::TokenLoss token_loss(weights, 80, memory, stream);
  const double loss = token_loss.backward(residual.view(), ids, gradient.view(), stream);
  EXPECT_NEAR(loss, reference_loss(model, residual, ids), 1e-5);
  for (size_t i = 0; i < residual.values().size(); i += 37) {
    const double slope = testing::central_difference(residual.values()[i], 1e-3,
                                                     [&] { return reference_loss(model, residual, ids); });
    ASSERT_NEAR(gradient.values()[i], slope, 1e-6 + 1e-4 * std::abs(slope)) << i;
  }
  for (int64_t i = 0; i < 24; ++i) EXPECT_EQ(gradient.view().row(tokens - 1)[i], 0.0f);
}

}  // namespace
}  // namespace orthant
