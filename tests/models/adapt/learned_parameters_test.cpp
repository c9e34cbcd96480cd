#include "models/adapt/learned_parameters.h"

#include <gtest/gtest.h>

#include "tests/support/pruned_block.h"

namespace orthant {
namespace {

using models::LearnedKind;
using models::LearnedProjection;

TEST(LearnedParameters, AreNamedByWhatIsLearned) {
  EXPECT_EQ(models::text_of({}), "");
  EXPECT_EQ(models::text_of({.input_shift = true}), "input_shift");
  EXPECT_EQ(models::text_of({.output_shift = true, .output_scale = true, .rank = 64}),
            "output_shift+output_scale+rank_64");
}

TEST(LearnedParameters, BelongToTheProjectionsThatArePruned) {
  const models::ModelConfig config = testing::varied_config();
  models::ModelPruning pruning = testing::magnitude_pruning(config, {2, 4}, false);
  pruning.blocks[0][0].selection = nullptr;
  models::LearnedBlock block = models::zero_parameters(
      config, {.input_shift = true, .output_scale = true, .rank = 3}, pruning.blocks[0]);
  EXPECT_TRUE(block[0].input_shift.empty());
  const LearnedProjection& down = block[6];
  EXPECT_EQ(down.input_shift, std::vector<float>(20, 0.0f));
  EXPECT_TRUE(down.output_shift.empty());
  EXPECT_EQ(down.output_scale.size(), 24u);
  EXPECT_EQ(down.low_rank_out.size(), 72u);
  EXPECT_EQ(down.low_rank_in.size(), 60u);
  EXPECT_EQ(models::tensors_of(block).size(), 6u * 4u);
}

TEST(LearnedParameters, MendOutputsByTheFormula) {
  const std::vector<float> shifted = {10.0f, -4.0f};
  LearnedProjection own;
  own.output_shift = {1.0f, 2.0f};
  own.output_scale = {0.5f, -1.0f};
  EXPECT_EQ(models::mending_of(own, shifted).factors, (std::vector<float>{1.5f, 0.0f}));
  EXPECT_EQ(models::mending_of(own, shifted).offsets, (std::vector<float>{16.0f, 2.0f}));
  EXPECT_EQ(models::mending_of(own, {}).offsets, own.output_shift);
  own.output_shift.clear();
  EXPECT_EQ(models::mending_of(own, shifted).offsets, (std::vector<float>{15.0f, 0.0f}));
  EXPECT_TRUE(models::mending_of(own, {}).offsets.empty());
  EXPECT_TRUE(models::mending_of({}, {}).factors.empty());
}

TEST(LearnedParameters, FindTheWeightsOfEveryProjection) {
  Memory memory;
  Stream stream;
  const testing::MemoryModel model(testing::varied_config());
  const models::Weights weights = models::load_weights(model, {}, memory, stream);
  for (int p = 0; p < models::kProjections; ++p) {
    const auto projection = static_cast<models::Projection>(p);
    const kernels::PackedWeights& found = models::weights_of(weights.blocks[1], projection);
    const std::vector<float>& expected = model.at(models::weight_name(1, projection)).values;
    EXPECT_EQ(found.columns(), models::shape_of(model.config(), projection).outputs);
    for (int64_t k = 0; k < found.depth(); ++k) {
      EXPECT_EQ(found.panel(0)[k * kernels::PackedWeights::kPanel], expected[static_cast<size_t>(k)]) << p;
    }
  }
}

}  // namespace
}  // namespace orthant
