#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "kernels/transformer/log_softmax.h"
#include "models/transformer/forward.h"
#include "runtime/storage/npy.h"
#include "tests/support/golden_model.h"

namespace orthant {
namespace {

using models::HookPoint;
using models::HookSite;
using testing::golden;
using testing::golden_weights;
using testing::list_of;

// Logits of every position of one sequence, [tokens, vocabulary].
Tensor<float, 2> all_logits(const models::Weights& weights, const std::vector<int32_t>& ids) {
  const auto tokens = static_cast<int64_t>(ids.size());
  models::RunState state(testing::test_memory(), weights, {tokens, 1, tokens});
  std::vector<int64_t> rows(ids.size());
  std::iota(rows.begin(), rows.end(), 0);
  const std::vector<int64_t> offsets = {0, tokens};
  Stream stream;
  const auto hidden = models::forward(weights, {.batch = {ids, offsets}, .logit_rows = rows}, state, stream);
  Tensor<float, 2> logits(testing::test_memory(), "logits", {tokens, weights.config.vocabulary});
  models::project_logits(weights, hidden, logits.view(), state, stream);
  return logits;
}

void check_prompt(const boost::json::value& prompt) {
  const auto ids = list_of<int32_t>(prompt.at("ids"));
  const auto tokens = static_cast<int64_t>(ids.size());
  const auto logits = all_logits(golden_weights(), ids);
  std::vector<double> log_sums(ids.size());
  std::vector<int32_t> largest(ids.size());
  Stream stream;
  kernels::log_normalizers(logits.view(), {log_sums.data(), {tokens}}, {largest.data(), {tokens}}, stream);
  EXPECT_EQ(largest, list_of<int32_t>(prompt.at("argmax_per_position")));
  EXPECT_NEAR(log_sums.back(), prompt.at("last_logsumexp").to_number<double>(), 1e-3);
  const float* last = logits.view().row(tokens - 1);
  for (const char* which : {"last_top20", "last_logits_sample"}) {
    const std::string name = which;
    const auto at = list_of<int32_t>(prompt.at(name + "_ids"));
    const auto expected = list_of<double>(prompt.at(name == "last_top20" ? "last_top20_logits" : name));
    for (size_t i = 0; i < at.size(); ++i) EXPECT_NEAR(last[at[i]], expected[i], 1e-3) << name << " " << i;
  }
  const auto log_probs = list_of<double>(prompt.at("next_token_logprob"));
  for (size_t i = 0; i < log_probs.size(); ++i) {
    EXPECT_NEAR(logits.view().row(static_cast<int64_t>(i))[ids[i + 1]] - log_sums[i], log_probs[i], 5e-4)
        << i;
  }
}

TEST(ForwardGolden, LogitsAreThoseOfTheReference) {
  ORTHANT_NEEDS_GOLDEN();
  const auto document = golden("logits.json");
  for (const auto& prompt : document.at("prompts").as_array()) {
    SCOPED_TRACE(prompt.at("name").as_string().c_str());
    check_prompt(prompt);
  }
}

double norm(const float* row, int64_t width) {
  return std::sqrt(std::inner_product(row, row + width, row, 0.0, std::plus<>(),
                                      [](float a, float b) { return static_cast<double>(a) * b; }));
}

TEST(ForwardGolden, ResidualStreamIsThatOfTheReference) {
  ORTHANT_NEEDS_GOLDEN();
  const auto document = golden("resid_post.json");
  const auto ids = list_of<int32_t>(document.at("ids"));
  const auto layers = list_of<int64_t>(document.at("layers"));
  const auto positions = list_of<int64_t>(document.at("positions"));
  const auto tokens = static_cast<int64_t>(ids.size());
  const models::Weights& weights = golden_weights();
  const int64_t width = weights.config.d_model;
  models::RunState state(testing::test_memory(), weights, {tokens, 1, tokens});
  std::vector<Tensor<float, 2>> found;
  std::vector<models::Tap> taps;
  for (const int64_t layer : layers) {
    found.emplace_back(testing::test_memory(), "taps", std::array<int64_t, 2>{tokens, width});
    taps.push_back({{layer, HookSite::kResidPost}, found.back().view()});
  }
  const std::vector<int64_t> offsets = {0, tokens};
  Stream stream;
  (void)models::forward(weights, {.batch = {ids, offsets}, .taps = taps}, state, stream);

  const NpyReader npy((testing::shared_folder() / "golden/smollm2_135m/resid_post.npy").string());
  std::vector<float> vectors(static_cast<size_t>(npy.elements()));
  npy.read(0, vectors);
  for (size_t l = 0; l < layers.size(); ++l) {
    const auto norms = list_of<double>(document.at("l2_all_positions").at(std::to_string(layers[l])));
    for (size_t p = 0; p < norms.size(); ++p) {
      EXPECT_NEAR(norm(found[l].view().row(static_cast<int64_t>(p)), width), norms[p], 1e-4 * norms[p]);
    }
    for (size_t p = 0; p < positions.size(); ++p) {
      const float* row = found[l].view().row(positions[p]);
      const float* golden_row = vectors.data() + (l * positions.size() + p) * static_cast<size_t>(width);
      std::vector<float> difference(static_cast<size_t>(width));
      std::transform(row, row + width, golden_row, difference.begin(), std::minus<>());
      EXPECT_LT(norm(difference.data(), width), 1e-4 * norm(golden_row, width))
          << layers[l] << " " << positions[p];
    }
  }
}

}  // namespace
}  // namespace orthant
