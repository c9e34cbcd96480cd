#include "models/transformer/decode_weights.h"

#include <gtest/gtest.h>

#include "models/sparsity/build_pruning.h"
#include "models/transformer/forward.h"
#include "tests/device/device.h"
#include "tests/support/memory_model.h"

namespace orthant {
namespace {

using DecodeWeightsOnDevice = testing::DeviceTest;

// The final hidden state of one token with pruned inputs, in the memory of a device or of the CPU.
std::vector<float> hidden_on(Device device, kernels::WeightFormat format) {
  const testing::MemoryModel model(testing::varied_config());
  Memory memory(device);
  Stream stream(device);
  const auto weights = models::load_weights(model, {}, memory, stream);
  const auto decode = models::load_decode_weights(model, format, memory, stream);
  models::PruningRecipe recipe{.pattern = models::parse_pattern("2:4"), .layers = {0, 1, 2}};
  for (int p = 0; p < models::kProjections; ++p)
    recipe.projections.push_back(static_cast<models::Projection>(p));
  const auto pruning = models::build_pruning(recipe, model, {}, memory, stream);
  const models::RunLimits limits{.tokens = 1, .sequences = 1, .positions = 8};
  models::RunState state(memory, weights, limits);
  models::PruningState pruning_state(memory, weights.config, limits, pruning);
  models::DecodeState decode_state(memory, weights.config);
  const std::vector<int32_t> ids = {7};
  const std::vector<int64_t> offsets = {0, 1}, rows = {0};
  const auto hidden = models::forward(weights,
                                      {.batch = {ids, offsets},
                                       .logit_rows = rows,
                                       .pruning = &pruning,
                                       .pruning_state = &pruning_state,
                                       .decode_weights = &decode,
                                       .decode_state = &decode_state},
                                      state, stream);
  stream.synchronize();
  return testing::on_host(hidden);
}

TEST_F(DecodeWeightsOnDevice, DecodeAsOnTheCpu) {
  for (const auto format :
       {kernels::WeightFormat::kF32, kernels::WeightFormat::kBF16, kernels::WeightFormat::kQ8}) {
    const std::vector<float> found = hidden_on(testing::device(), format), expected = hidden_on(kCpu, format);
    ASSERT_EQ(found.size(), expected.size());
    // Sums run in other orders, three blocks deep.
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-4) << name_of(format);
  }
}

}  // namespace
}  // namespace orthant
