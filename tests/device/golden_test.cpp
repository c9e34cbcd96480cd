// The real test model on a device: logits that an independent program has recorded.
#include <gtest/gtest.h>

#include <numeric>

#include "models/tasks/window_perplexity.h"
#include "tests/device/device.h"
#include "tests/support/golden_model.h"

namespace orthant {
namespace {

using testing::golden;
using testing::list_of;

#if ORTHANT_EMULATED_DEVICE
#define ORTHANT_NEEDS_A_FAST_DEVICE() GTEST_SKIP() << "on fibers a model of this size takes hours"
#else
#define ORTHANT_NEEDS_A_FAST_DEVICE()
#endif

class GoldenOnDevice : public testing::DeviceTest {
 protected:
  // Logits of every position of one sequence, [tokens, vocabulary].
  std::vector<float> all_logits(const models::Weights& weights, const std::vector<int32_t>& ids) {
    const auto tokens = static_cast<int64_t>(ids.size());
    models::RunState state(memory, weights, {tokens, 1, tokens});
    std::vector<int64_t> rows(ids.size());
    std::iota(rows.begin(), rows.end(), 0);
    const std::vector<int64_t> offsets = {0, tokens};
    const auto hidden =
        models::forward(weights, {.batch = {ids, offsets}, .logit_rows = rows}, state, stream);
    Tensor<float, 2> logits(memory, "logits", {tokens, weights.config.vocabulary});
    models::project_logits(weights, hidden, logits.view(), state, stream);
    return testing::on_host(logits.view());
  }
  models::Weights load(kernels::Precision precision) {
    return models::load_weights(*models::open_model_file(testing::test_model()), {}, memory, stream,
                                precision);
  }
  Memory memory{testing::device()};
  Stream stream{cuda_device_count() > 0 ? testing::device() : kCpu};
};

TEST_F(GoldenOnDevice, LogitsAreThoseOfTheReference) {
  ORTHANT_NEEDS_A_FAST_DEVICE();
  ORTHANT_NEEDS_GOLDEN();
  const models::Weights weights = load(kernels::Precision::kF32);
  const auto document = golden("logits.json");
  for (const auto& prompt : document.at("prompts").as_array()) {
    SCOPED_TRACE(prompt.at("name").as_string().c_str());
    const auto ids = list_of<int32_t>(prompt.at("ids"));
    const auto logits = all_logits(weights, ids);
    const auto width = static_cast<size_t>(weights.config.vocabulary);
    const auto argmax = list_of<int32_t>(prompt.at("argmax_per_position"));
    for (size_t t = 0; t < ids.size(); ++t) {
      const auto row = logits.begin() + static_cast<std::ptrdiff_t>(t * width);
      EXPECT_EQ(std::max_element(row, row + static_cast<std::ptrdiff_t>(width)) - row, argmax[t]) << t;
    }
    const float* last = logits.data() + (ids.size() - 1) * width;
    for (const char* which : {"last_top20", "last_logits_sample"}) {
      const std::string name = which;
      const auto at = list_of<int32_t>(prompt.at(name + "_ids"));
      const auto expected = list_of<double>(prompt.at(name == "last_top20" ? "last_top20_logits" : name));
      for (size_t i = 0; i < at.size(); ++i) EXPECT_NEAR(last[at[i]], expected[i], 1e-3) << name << " " << i;
    }
  }
}

TEST_F(GoldenOnDevice, PerplexityInBf16IsNearTheOneInF32) {
  ORTHANT_NEEDS_A_FAST_DEVICE();
  ORTHANT_NEEDS_GOLDEN();
  const auto document = golden("logits.json");
  std::vector<int32_t> ids;
  for (const auto& prompt : document.at("prompts").as_array()) {
    const auto more = list_of<int32_t>(prompt.at("ids"));
    ids.insert(ids.end(), more.begin(), more.end());
  }
  const auto nll_in = [&](kernels::Precision precision) {
    const models::Weights weights = load(precision);
    return models::window_nll(
        weights, ids, static_cast<int64_t>(ids.size()), {0, 1}, [](int64_t) {}, memory, stream)[0];
  };
  const double f32 = nll_in(kernels::Precision::kF32);
  EXPECT_NEAR(nll_in(kernels::Precision::kTF32), f32, 0.01 * f32);
  EXPECT_NEAR(nll_in(kernels::Precision::kBF16), f32, 0.03 * f32);
}

}  // namespace
}  // namespace orthant
