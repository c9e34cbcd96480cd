// Forwards with pruned inputs on a device beside those of the CPU.
#include "models/transformer/pruning.h"

#include <gtest/gtest.h>

#include <numeric>

#include "models/sparsity/build_pruning.h"
#include "models/transformer/forward.h"
#include "tests/device/device.h"
#include "tests/support/memory_model.h"

namespace orthant::models {
namespace {

struct Method {
  const char *pattern, *criterion, *transform;
};

ModelConfig config_of() {
  ModelConfig config = testing::varied_config();
  config.d_mlp = 40;
  return config;
}

// Logits of all rows of three sequences.
std::vector<float> logits_on(Device device, const testing::MemoryModel& file, const Method& method) {
  Memory memory(device);
  Stream stream(device);
  const Weights weights = load_weights(file, {}, memory, stream);
  PruningRecipe recipe{.pattern = parse_pattern(method.pattern),
                       .method = {parse_criterion(method.criterion), parse_transform(method.transform)}};
  for (int64_t layer = 0; layer < file.config().layers; ++layer) recipe.layers.push_back(layer);
  for (int p = 0; p < kProjections; ++p) recipe.projections.push_back(static_cast<Projection>(p));
  CalibratedCenters centers(static_cast<size_t>(file.config().layers));
  for (auto& layer : centers) layer.fill(0.03f);
  const ModelPruning pruning = build_pruning(recipe, file, centers, memory, stream);
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 40; ++i) ids.push_back((i * i * 7 + i * 3) % 11);
  const std::vector<int64_t> offsets = {0, 1, 18, 40};
  const RunLimits limits{40, 3, 64};
  RunState state(memory, weights, limits);
  PruningState pruning_state(memory, weights.config, limits, pruning);
  std::vector<int64_t> rows(ids.size());
  std::iota(rows.begin(), rows.end(), 0);
  const auto hidden = forward(weights,
                              {.batch = {.token_ids = ids, .offsets = offsets},
                               .logit_rows = rows,
                               .pruning = &pruning,
                               .pruning_state = &pruning_state},
                              state, stream);
  Tensor<float, 2> logits(memory, "logits", {40, weights.config.vocabulary});
  project_logits(weights, hidden, logits.view(), state, stream);
  return testing::on_host(logits.view());
}

using PrunedForwardOnDevice = testing::DeviceTest;

TEST_F(PrunedForwardOnDevice, GivesTheLogitsOfTheCpu) {
  const testing::MemoryModel file(config_of());
  constexpr Method kMethods[] = {
      {"2:4", "magnitude", "none"}, {"4:8", "magnitude", "dpts+var"}, {"2:4", "magnitude", "spts"},
      {"50%", "magnitude", "none"}, {"2:4", "amber", "none"},         {"2:4", "clact", "var"},
      {"2:4", "magnitude", "pcs"},  {"50%", "clact", "none"},         {"50%", "amber", "dpts"}};
  for (const Method& method : kMethods) {
    const std::vector<float> expected = logits_on(kCpu, file, method);
    const std::vector<float> found = logits_on(testing::device(), file, method);
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(found[i], expected[i], 3e-4)
          << method.pattern << " " << method.criterion << " " << method.transform;
  }
}

}  // namespace
}  // namespace orthant::models
