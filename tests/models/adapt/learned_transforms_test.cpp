#include "models/adapt/learned_transforms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/pruned_block.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using models::LearnedKind;
using models::LearnedTransforms;

LearnedTransforms some_transforms(const models::ModelConfig& config, const LearnedKind& kind,
                                  const models::ModelPruning& pruning) {
  LearnedTransforms learned;
  learned.kind = kind;
  learned.origin = {{"model", "memory"}, {"transform", models::text_of(kind)}};
  learned.finished = learned.total = config.layers;
  uint64_t index = 0;
  for (const auto& pruned : pruning.blocks) {
    learned.blocks.push_back(models::zero_parameters(config, kind, pruned));
    for (const std::span<float> tensor : models::tensors_of(learned.blocks.back())) {
      for (float& value : tensor) value = random_normal(7, Purpose::kTest, 42, index++);
    }
  }
  return learned;
}

class LearnedTransformsTest : public ::testing::Test {
 protected:
  models::ModelConfig config = testing::varied_config();
  models::ModelPruning pruning = testing::magnitude_pruning(config, {2, 4}, false);
  testing::TempDir folder;
  std::string path = folder.file("learned.safetensors");
};

TEST_F(LearnedTransformsTest, ComeBackFromTheirFile) {
  const LearnedKind kind{.output_shift = true, .output_scale = true, .rank = 3};
  pruning.blocks[1][2].selection = nullptr;  // not all are pruned
  LearnedTransforms learned = some_transforms(config, kind, pruning);
  learned.finished = 2;
  learned.optimiser = {{{1.0f, 2.0f}, {3.0f}}, {{4.0f, 5.0f}, {6.0f}}, 17};
  models::save_learned(learned, config, path);
  LearnedTransforms read = models::load_learned(path, config, kind, learned.origin);
  EXPECT_EQ(read.finished, 2);
  EXPECT_EQ(read.total, 3);
  EXPECT_EQ(read.optimiser.first, learned.optimiser.first);
  EXPECT_EQ(read.optimiser.second, learned.optimiser.second);
  EXPECT_EQ(read.optimiser.steps_taken, 17);
  for (size_t layer = 0; layer < 3; ++layer) {
    const auto before = models::tensors_of(learned.blocks[layer]),
               after = models::tensors_of(read.blocks[layer]);
    ASSERT_EQ(before.size(), after.size());
    for (size_t i = 0; i < before.size(); ++i) {
      EXPECT_TRUE(std::equal(before[i].begin(), before[i].end(), after[i].begin(), after[i].end()));
    }
  }
  EXPECT_TRUE(read.blocks[1][2].output_shift.empty());
}

TEST_F(LearnedTransformsTest, OfAnotherModelAreRefused) {
  LearnedTransforms learned = some_transforms(config, {.input_shift = true}, pruning);
  models::save_learned(learned, config, path);
  models::LearnedOrigin other = learned.origin;
  other["model"] = "another";
  try {
    (void)models::load_learned(path, config, learned.kind, other);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("differs in model"));
  }
}

TEST_F(LearnedTransformsTest, ThatAreDamagedAreRefused) {
  LearnedTransforms learned = some_transforms(config, {.input_shift = true}, pruning);
  models::save_learned(learned, config, path);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 8);
  try {
    (void)models::load_learned(path, config, learned.kind, learned.origin);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
  }
}

TEST_F(LearnedTransformsTest, KnowWhatTheyDependOn) {
  const std::string plain = models::identity_of(pruning);
  EXPECT_EQ(models::identity_of(testing::magnitude_pruning(config, {2, 4}, false)), plain);
  EXPECT_NE(models::identity_of(testing::magnitude_pruning(config, {1, 4}, false)), plain);
  EXPECT_NE(models::identity_of(testing::magnitude_pruning(config, {2, 4}, true)), plain);
  pruning.blocks[0][3].selection = nullptr;
  EXPECT_NE(models::identity_of(pruning), plain);
  EXPECT_NE(models::key_of({{"a", "1"}}), models::key_of({{"a", "2"}}));
}

TEST_F(LearnedTransformsTest, MendThePruningThatTheyWereLearnedFor) {
  Memory memory;
  Stream stream;
  testing::MemoryModel model(config);
  const models::Weights weights = models::load_weights(model, {}, memory, stream);
  const LearnedTransforms learned =
      some_transforms(config, {.input_shift = true, .output_shift = true, .output_scale = true}, pruning);
  models::apply(learned, weights, pruning, memory, stream);
  const models::LearnedProjection& own = learned.blocks[2][6];
  const models::PrunedProjection& mended = pruning.blocks[2][6];
  EXPECT_EQ(mended.selection->center, kernels::RowCenter::kGiven);
  EXPECT_EQ(mended.selection->pattern, (kernels::PrunePattern{2, 4}));
  const auto& w = model.at("model.layers.2.mlp.down_proj.weight").values;
  for (size_t o = 0; o < 24; ++o) {
    double shifted = 0.0;
    for (size_t k = 0; k < 20; ++k) shifted += static_cast<double>(w[o * 20 + k]) * own.input_shift[k];
    EXPECT_EQ(mended.mending.column_factors.data()[o], 1.0f + own.output_scale[o]);
    EXPECT_NEAR(
        mended.mending.column_offsets.data()[o],
        shifted * (1.0 + static_cast<double>(own.output_scale[o])) + static_cast<double>(own.output_shift[o]),
        1e-5 * (1.0 + std::abs(shifted)));
  }
  for (size_t k = 0; k < 20; ++k) EXPECT_EQ(mended.selection->given_center.data()[k], own.input_shift[k]);
}

TEST_F(LearnedTransformsTest, ThatAreNotFinishedMendNothing) {
  Memory memory;
  Stream stream;
  testing::MemoryModel model(config);
  const models::Weights weights = models::load_weights(model, {}, memory, stream);
  LearnedTransforms learned = some_transforms(config, {.output_shift = true}, pruning);
  learned.finished = 1;
  EXPECT_THROW(models::apply(learned, weights, pruning, memory, stream), Error);
}

}  // namespace
}  // namespace orthant
