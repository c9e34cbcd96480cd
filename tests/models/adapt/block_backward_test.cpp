#include "models/adapt/block_backward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "models/adapt/learned_transforms.h"
#include "models/transformer/forward.h"
#include "tests/support/central_difference.h"
#include "tests/support/normal_matrix.h"
#include "tests/support/pruned_block.h"

namespace orthant {
namespace {

using models::LearnedBlock;
using models::LearnedKind;
using testing::NormalMatrix;
using testing::PrunedBlock;

constexpr int64_t kTokens = 9;
constexpr int64_t kLayer = 1;

LearnedBlock some_parameters(const models::ModelConfig& config, const LearnedKind& kind,
                             const models::ModelPruning& pruning) {
  LearnedBlock block = models::zero_parameters(config, kind, pruning.blocks[kLayer]);
  uint64_t index = 0;
  for (const std::span<float> tensor : models::tensors_of(block)) {
    for (float& value : tensor) value = 0.05f * random_normal(7, Purpose::kTest, 99, index++);
  }
  return block;
}

// A block of the varied model with pruned projections, its f32 gradients and its f64 loss.
class Trained {
 public:
  Trained(const LearnedKind& kind, models::ModelPruning pruning)
      : pruning_(std::move(pruning)),
        weights_(models::load_weights(model_, {}, memory_, stream_)),
        learned(some_parameters(model_.config(), kind, pruning_)),
        gradients(models::zero_parameters(model_.config(), kind, pruning_.blocks[kLayer])),
        residual(kTokens, 24, 11),
        slope(kTokens, 24, 12),
        output(kTokens, 24, 13),
        residual_gradient(kTokens, 24, 14) {
    models::BlockBackward block(memory_, model_.config(), kind, kTokens + 3);
    block.load(weights_, pruning_, kLayer, stream_);
    block.run(residual.view(), learned, output.view(), stream_);
    block.backward(slope.view(), gradients, residual_gradient.view(), stream_);
  }
  // sum of slope * output in double precision.
  double loss() {
    double sum = 0.0;
    const auto rows = PrunedBlock(model_, pruning_, kLayer).run(rows_of(residual), learned);
    for (size_t t = 0; t < rows.size(); ++t) {
      for (size_t i = 0; i < rows[t].size(); ++i) {
        sum += rows[t][i] * static_cast<double>(slope.values()[t * 24 + i]);
      }
    }
    return sum;
  }
  void expect_reference_output() {
    const auto rows = PrunedBlock(model_, pruning_, kLayer).run(rows_of(residual), learned);
    for (size_t i = 0; i < output.values().size(); ++i)
      ASSERT_NEAR(output.values()[i], rows[i / 24][i % 24], 1e-4);
  }
  static PrunedBlock::Rows rows_of(NormalMatrix& matrix) {
    PrunedBlock::Rows rows;
    for (int64_t t = 0; t < kTokens; ++t) rows.emplace_back(matrix.view().row(t), matrix.view().row(t) + 24);
    return rows;
  }

 private:
  Memory memory_;
  Stream stream_;
  testing::MemoryModel model_{testing::varied_config()};
  models::ModelPruning pruning_;
  models::Weights weights_;

 public:
  LearnedBlock learned, gradients;
  NormalMatrix residual, slope, output, residual_gradient;
};

// The step is so small that it changes no choice of what survives. The gradients are f32 through some twenty
// products.
void expect_slope(float found, float& value, Trained& trained, const std::string& where) {
  const double expected = testing::central_difference(value, 1.0 / 65536, [&] { return trained.loss(); });
  ASSERT_NEAR(found, expected, 2e-4 * (1.0 + std::abs(expected))) << where;
}

void expect_slopes(const LearnedKind& kind, bool restores_variance) {
  Trained trained(kind, testing::magnitude_pruning(testing::varied_config(), {2, 4}, restores_variance));
  trained.expect_reference_output();
  const auto parameters = models::tensors_of(trained.learned),
             gradients = models::tensors_of(trained.gradients);
  ASSERT_EQ(parameters.size(), gradients.size());
  for (size_t p = 0; p < parameters.size(); ++p) {
    ASSERT_EQ(parameters[p].size(), gradients[p].size());
    for (size_t i = 0; i < parameters[p].size(); i += 1 + parameters[p].size() / 7) {
      expect_slope(gradients[p][i], parameters[p][i], trained, "tensor " + std::to_string(p));
    }
  }
  for (size_t i = 0; i < trained.residual.values().size(); i += 5) {
    expect_slope(trained.residual_gradient.values()[i], trained.residual.values()[i], trained, "residual");
  }
}

TEST(BlockBackward, IsTheSlopeOfTheFormulasForInputShifts) {
  expect_slopes({.input_shift = true}, false);
  expect_slopes({.input_shift = true}, true);
}

TEST(BlockBackward, IsTheSlopeOfTheFormulasForOutputShiftsAndScales) {
  expect_slopes({.output_shift = true}, true);
  expect_slopes({.output_scale = true}, false);
  expect_slopes({.output_shift = true, .output_scale = true}, true);
  expect_slopes({.input_shift = true, .output_shift = true, .output_scale = true}, true);
}

TEST(BlockBackward, IsTheSlopeOfTheFormulasForLowRankPairs) {
  expect_slopes({.rank = 3}, false);
  expect_slopes({.output_scale = true, .rank = 5}, true);
}

TEST(BlockBackward, PassesBackThroughProjectionsThatAreNotPruned) {
  const models::ModelConfig config = testing::varied_config();
  models::ModelPruning pruning;
  pruning.blocks.resize(3);
  Trained trained({.input_shift = true}, std::move(pruning));
  EXPECT_TRUE(models::tensors_of(trained.gradients).empty());
  trained.expect_reference_output();
  for (size_t i = 0; i < trained.residual.values().size(); i += 3) {
    expect_slope(trained.residual_gradient.values()[i], trained.residual.values()[i], trained, "residual");
  }
}

// What is trained is what runs: the block of the model's forward with the parameters applied.
void expect_bits_of_the_forward(const LearnedKind& kind, models::ModelPruning pruning) {
  const models::ModelConfig config = testing::varied_config();
  const testing::MemoryModel model(config);
  Memory memory;
  Stream stream;
  const models::Weights weights = models::load_weights(model, {}, memory, stream);
  models::LearnedTransforms learned;
  learned.kind = kind;
  for (const auto& pruned : pruning.blocks)
    learned.blocks.push_back(models::zero_parameters(config, kind, pruned));
  learned.blocks[kLayer] = some_parameters(config, kind, pruning);
  NormalMatrix residual(kTokens, 24, 11), expected(kTokens, 24, 12), output(kTokens, 24, 13);
  models::BlockBackward block(memory, config, kind, kTokens);
  block.load(weights, pruning, kLayer, stream);
  block.run(residual.view(), learned.blocks[kLayer], output.view(), stream);

  models::apply(learned, weights, pruning, memory, stream);
  models::RunState state(memory, weights, {kTokens, 1, kTokens});
  models::PruningState pruning_state(memory, config, {kTokens, 1, kTokens}, pruning);
  const std::vector<int32_t> ids(kTokens, 0);
  const std::vector<int64_t> offsets = {0, kTokens};
  const models::Tap tap{{kLayer, models::HookSite::kResidPost}, expected.view()};
  (void)models::forward(weights,
                        {.batch = {ids, offsets},
                         .taps = {&tap, 1},
                         .pruning = &pruning,
                         .pruning_state = &pruning_state,
                         .residual = residual.view(),
                         .first_block = kLayer},
                        state, stream);
  EXPECT_EQ(output.values(), expected.values()) << models::text_of(kind);
}

TEST(BlockBackward, RunsTheBlockOfTheModelBitForBit) {
  const models::ModelConfig config = testing::varied_config();
  for (const bool restores : {false, true}) {
    expect_bits_of_the_forward({.input_shift = true, .output_shift = true, .output_scale = true},
                               testing::magnitude_pruning(config, {2, 4}, restores));
    expect_bits_of_the_forward({.output_scale = true, .rank = 4},
                               testing::magnitude_pruning(config, {1, 2}, restores));
    expect_bits_of_the_forward({.output_shift = true}, testing::magnitude_pruning(config, {13, 0}, restores));
  }
}

models::ModelPruning looking_across_rows(models::InputGain gain, double share, bool restores = false) {
  models::ModelPruning pruning = testing::magnitude_pruning(testing::varied_config(), {2, 4}, false);
  Memory memory;
  for (auto& block : pruning.blocks) {
    for (size_t p = 0; p < block.size(); ++p) {
      const int64_t inputs =
          models::shape_of(testing::varied_config(), static_cast<models::Projection>(p)).inputs;
      auto selection = std::make_shared<models::InputSelection>();
      selection->pattern = {2, 4};
      selection->gain = gain;
      selection->sequence_share = share;
      selection->restores_variance = restores;
      selection->by_row_norm = share > 0.0 && gain == models::InputGain::kColumnNorms;
      if (gain == models::InputGain::kFixed || gain == models::InputGain::kColumnPeaks) {
        selection->gains = Tensor<float, 1>(memory, "test", {inputs});
        for (int64_t i = 0; i < inputs; ++i)
          selection->gains.data()[i] = 0.5f + 0.1f * static_cast<float>(i % 7);
      }
      block[p].selection = selection;
    }
  }
  return pruning;
}

TEST(BlockBackward, RunsEveryCriterionBitForBit) {
  using models::InputGain;
  for (const InputGain gain : {InputGain::kFixed, InputGain::kColumnNorms, InputGain::kColumnPeaks}) {
    expect_bits_of_the_forward({.input_shift = true}, looking_across_rows(gain, 0.0));
    expect_bits_of_the_forward({.rank = 3}, looking_across_rows(gain, 0.0));
  }
  for (const InputGain gain : {InputGain::kFixed, InputGain::kColumnNorms}) {
    expect_bits_of_the_forward({.output_scale = true}, looking_across_rows(gain, 0.45));
    expect_bits_of_the_forward({.input_shift = true}, looking_across_rows(gain, 0.45));
    expect_bits_of_the_forward({.output_scale = true, .rank = 3}, looking_across_rows(gain, 0.45, true));
  }
}

TEST(BlockBackward, GivesTheSameBitsOnAnyThreads) {
  const int before = omp_get_max_threads();
  const LearnedKind kind{.output_scale = true, .rank = 4};
  const auto pruning = [] { return testing::magnitude_pruning(testing::varied_config(), {1, 2}, true); };
  omp_set_num_threads(1);
  Trained one(kind, pruning());
  omp_set_num_threads(3);
  Trained three(kind, pruning());
  omp_set_num_threads(before);
  EXPECT_EQ(one.residual_gradient.values(), three.residual_gradient.values());
  const auto a = models::tensors_of(one.gradients), b = models::tensors_of(three.gradients);
  for (size_t p = 0; p < a.size(); ++p) EXPECT_TRUE(std::equal(a[p].begin(), a[p].end(), b[p].begin()));
}

TEST(BlockBackward, RefusesAPruningThatIsMendedAlready) {
  auto pruning = testing::magnitude_pruning(testing::varied_config(), {2, 4}, false);
  auto selection = std::make_shared<models::InputSelection>();
  selection->pattern = {2, 4};
  selection->center = kernels::RowCenter::kMedian;
  pruning.blocks[kLayer][0].selection = selection;
  try {
    Trained trained({.output_shift = true}, std::move(pruning));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    EXPECT_THAT(std::string(error.what()), ::testing::HasSubstr("a centre already"));
  }
}

}  // namespace
}  // namespace orthant
