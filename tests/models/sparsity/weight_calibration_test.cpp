#include "models/sparsity/weight_calibration.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <bit>
#include <cmath>
#include <map>
#include <utility>

#include "models/sparsity/sparse_gpt.h"
#include "models/transformer/forward.h"
#include "tests/support/code_of.h"
#include "tests/support/memory_model.h"
#include "tests/support/random_matrix.h"

namespace orthant::models {
namespace {

using orthant::testing::code_of;
using orthant::testing::HostMatrix;
using orthant::testing::MemoryModel;
using orthant::testing::same_bits;
using orthant::testing::varied_config;

constexpr std::array<Projection, kProjections> kAll = {
    Projection::kQuery, Projection::kKey, Projection::kValue, Projection::kOutput,
    Projection::kGate,  Projection::kUp,  Projection::kDown};

const kernels::PackedWeights& packed_of(const BlockWeights& block, Projection projection) {
  const kernels::PackedWeights* const all[] = {&block.query, &block.key, &block.value, &block.output,
                                               &block.gate,  &block.up,  &block.down};
  return *all[static_cast<size_t>(projection)];
}

// [outputs, inputs] as they multiply.
HostMatrix unpacked(const kernels::PackedWeights& weights) {
  HostMatrix rows(weights.columns(), weights.depth());
  for (int64_t c = 0; c < rows.rows; ++c) {
    for (int64_t k = 0; k < rows.columns; ++k)
      rows.at(c, k) = weights.panel(c / 16)[k * kernels::PackedWeights::kPanel + c % 16];
  }
  return rows;
}

HostMatrix dense_of(const MemoryModel& model, int64_t layer, Projection projection) {
  const ProjectionShape shape = shape_of(model.config(), projection);
  HostMatrix rows(shape.outputs, shape.inputs);
  model.read(weight_name(layer, projection), rows.values);
  return rows;
}

std::vector<std::vector<int32_t>> some_crops() {
  std::vector<std::vector<int32_t>> crops = {
      std::vector<int32_t>(70), std::vector<int32_t>(31), {}, std::vector<int32_t>(64)};
  uint32_t draw = 1;
  for (auto& crop : crops) {
    for (int32_t& token : crop) token = static_cast<int32_t>(random_u64(5, Purpose::kTest, ++draw, 0) % 11);
  }
  return crops;
}

// The inputs of all projections of a model, by a forward of its own through all blocks.
class SeenInputs {
 public:
  SeenInputs(const Weights& weights, std::span<const std::vector<int32_t>> crops, Memory& memory) {
    Stream stream;
    RunState state(memory, weights, {70, 1, 70});
    PruningState pruning_state(memory, weights.config, state.limits, true);
    for (const std::vector<int32_t>& crop : crops) {
      if (crop.empty()) continue;
      const int64_t offsets[] = {0, static_cast<int64_t>(crop.size())};
      const int64_t last[] = {offsets[1] - 1};
      const ProjectionInputs see = [&](int64_t layer, Projection projection, Matrix<const float> x) {
        HostMatrix rows(x.shape[0], x.shape[1]);
        rows.values.assign(x.span().begin(), x.span().end());
        seen_[{layer, projection}].push_back(std::move(rows));
      };
      ForwardArgs args{.batch = {crop, offsets}, .logit_rows = last};
      args.inputs = &see;
      args.pruning_state = &pruning_state;
      forward(weights, args, state, stream);
    }
  }
  [[nodiscard]] const std::vector<HostMatrix>& of(int64_t layer, Projection projection) const {
    if (projection == Projection::kKey || projection == Projection::kValue) projection = Projection::kQuery;
    if (projection == Projection::kUp) projection = Projection::kGate;
    return seen_.at({layer, projection});
  }

 private:
  std::map<std::pair<int64_t, Projection>, std::vector<HostMatrix>> seen_;
};

class WeightCalibration : public ::testing::Test {
 protected:
  WeightCalibration() : model_(varied_config()), weights_(load_weights(model_, {}, memory_, stream_)) {}

  void prune(const WeightPruning& pruning) {
    prune_weights(
        weights_, model_, pruning, crops_, [](int64_t, int64_t) {}, memory_, stream_);
  }
  [[nodiscard]] WeightPruning all(WeightMethod method, WeightPattern pattern) const {
    return {method, pattern, all_projections(model_.config())};
  }
  [[nodiscard]] HostMatrix now(int64_t layer, Projection projection) const {
    return unpacked(packed_of(weights_.blocks[static_cast<size_t>(layer)], projection));
  }
  void expect_dense() const {
    for (int64_t layer = 0; layer < model_.config().layers; ++layer) {
      for (const Projection projection : kAll)
        EXPECT_TRUE(same_bits(now(layer, projection).values, dense_of(model_, layer, projection).values));
    }
  }

  MemoryModel model_;
  Memory memory_;
  Stream stream_;
  Weights weights_;
  std::vector<std::vector<int32_t>> crops_ = some_crops();
};

TEST_F(WeightCalibration, MagnitudeNeedsNoCrops) {
  crops_.clear();
  const WeightPattern pattern{{2, 4}};
  prune(all(WeightMethod::kMagnitude, pattern));
  for (int64_t layer = 0; layer < model_.config().layers; ++layer) {
    for (const Projection projection : kAll) {
      HostMatrix expected = dense_of(model_, layer, projection);
      prune_by_magnitude(expected.view(), pattern, stream_);
      EXPECT_TRUE(same_bits(now(layer, projection).values, expected.values));
    }
  }
}

// What the first projections of block 1 saw when they were chosen is what they see in the pruned model: all
// before them was pruned by then.
TEST_F(WeightCalibration, WandaGoesByTheInputsBehindPrunedBlocks) {
  for (const WeightPattern& pattern : {WeightPattern{{2, 4}}, WeightPattern{{}, 0.5}}) {
    prune(all(WeightMethod::kWanda, pattern));
    const SeenInputs inputs(weights_, crops_, memory_);
    for (const Projection projection : {Projection::kQuery, Projection::kKey, Projection::kValue}) {
      const auto& seen = inputs.of(1, projection);
      std::vector<float> norms;
      for (int64_t i = 0; i < model_.config().d_model; ++i) {
        double squares = 0.0;
        for (const HostMatrix& x : seen) {
          for (int64_t t = 0; t < x.rows; ++t)
            squares += static_cast<double>(x.at(t, i)) * static_cast<double>(x.at(t, i));
        }
        norms.push_back(static_cast<float>(std::sqrt(squares)));
      }
      HostMatrix expected = dense_of(model_, 1, projection);
      prune_by_wanda(expected.view(), {norms.data(), {expected.columns}}, pattern, stream_);
      EXPECT_TRUE(same_bits(now(1, projection).values, expected.values));
    }
  }
}

// Inside a block all is seen with the block's dense weights.
TEST_F(WeightCalibration, SparseGptGoesByTheInputsInsideADenseBlock) {
  const SeenInputs dense(weights_, crops_, memory_);
  const WeightPattern pattern{{2, 4}};
  prune(all(WeightMethod::kSparseGpt, pattern));
  for (const Projection projection : kAll) {
    InputHessian hessian(memory_, shape_of(model_.config(), projection).inputs);
    for (const HostMatrix& x : dense.of(0, projection)) hessian.add(x.view(), stream_);
    HostMatrix expected = dense_of(model_, 0, projection);
    sparse_gpt(expected.view(), hessian.factor(), pattern);
    EXPECT_TRUE(same_bits(now(0, projection).values, expected.values)) << name_of(projection);
  }
}

TEST_F(WeightCalibration, OnlyTheChosenProjectionsArePruned) {
  WeightPruning pruning = all(WeightMethod::kSparseGpt, {{2, 4}});
  for (auto& block : pruning.chosen) block.fill(false);
  pruning.chosen[1][static_cast<size_t>(Projection::kUp)] = true;
  prune(pruning);
  for (int64_t layer = 0; layer < model_.config().layers; ++layer) {
    for (const Projection projection : kAll) {
      const bool same = now(layer, projection).values == dense_of(model_, layer, projection).values;
      EXPECT_EQ(same, !(layer == 1 && projection == Projection::kUp)) << layer << name_of(projection);
    }
  }
}

TEST_F(WeightCalibration, AllOfAGroupLeavesTheDenseModel) {
  for (const WeightMethod method :
       {WeightMethod::kMagnitude, WeightMethod::kWanda, WeightMethod::kSparseGpt}) {
    prune(all(method, {{4, 4}}));
    expect_dense();
  }
}

TEST_F(WeightCalibration, WhatWasPrunedBeforeDoesNotMatter) {
  prune(all(WeightMethod::kWanda, {{1, 4}}));
  const HostMatrix once = now(2, Projection::kDown);
  prune(all(WeightMethod::kSparseGpt, {{2, 4}}));
  prune(all(WeightMethod::kWanda, {{1, 4}}));
  EXPECT_TRUE(same_bits(now(2, Projection::kDown).values, once.values));
}

TEST_F(WeightCalibration, RestoresTheDenseModel) {
  prune(all(WeightMethod::kSparseGpt, {{2, 4}}));
  restore_weights(weights_, model_, memory_, stream_);
  expect_dense();
}

TEST_F(WeightCalibration, ThreadsDoNotChangeABit) {
  const int before = omp_get_max_threads();
  for (const WeightMethod method : {WeightMethod::kWanda, WeightMethod::kSparseGpt}) {
    std::vector<HostMatrix> results;
    for (const int threads : {1, 2, 3}) {
      omp_set_num_threads(threads);
      prune(all(method, {{2, 4}}));
      results.push_back(now(2, Projection::kDown));
      EXPECT_TRUE(same_bits(results.back().values, results.front().values)) << threads;
    }
  }
  omp_set_num_threads(before);
}

TEST_F(WeightCalibration, TellsOfEachBlock) {
  std::vector<std::pair<int64_t, int64_t>> told;
  prune_weights(
      weights_, model_, all(WeightMethod::kWanda, {{2, 4}}), crops_,
      [&](int64_t done, int64_t blocks) { told.emplace_back(done, blocks); }, memory_, stream_);
  EXPECT_EQ(told, (std::vector<std::pair<int64_t, int64_t>>{{1, 3}, {2, 3}, {3, 3}}));
}

TEST_F(WeightCalibration, PrunedWeightsAreRoundedAsTheModelIs) {
  Weights rounded = load_weights(model_, {}, memory_, stream_, kernels::Precision::kBF16);
  prune_weights(
      rounded, model_, all(WeightMethod::kSparseGpt, {{2, 4}}), crops_, [](int64_t, int64_t) {}, memory_,
      stream_);
  const HostMatrix query = unpacked(rounded.blocks[0].query);
  int64_t zeros = 0;
  for (const float weight : query.values) {
    EXPECT_EQ(std::bit_cast<uint32_t>(weight) & 0xffffu, 0u);
    zeros += weight == 0.0f ? 1 : 0;
  }
  EXPECT_EQ(zeros, static_cast<int64_t>(query.values.size()) / 2);
}

TEST_F(WeightCalibration, RefusesWhatDoesNotFit) {
  std::string message;
  EXPECT_EQ(code_of([&] { prune(all(WeightMethod::kMagnitude, {{8, 16}})); }, &message), ExitCode::kConfig);
  EXPECT_NE(message.find("q_proj has 24 inputs"), std::string::npos) << message;
  EXPECT_EQ(code_of([&] { prune(all(WeightMethod::kMagnitude, {{5, 4}})); }), ExitCode::kConfig);
  EXPECT_EQ(code_of([&] { prune(all(WeightMethod::kWanda, {{}, 1.5})); }), ExitCode::kConfig);
  crops_ = {std::vector<int32_t>(513, 1)};
  EXPECT_EQ(code_of([&] { prune(all(WeightMethod::kWanda, {{2, 4}})); }), ExitCode::kConfig);
  crops_ = {{}};
  EXPECT_EQ(code_of([&] { prune(all(WeightMethod::kSparseGpt, {{2, 4}})); }), ExitCode::kConfig);
  expect_dense();
}

}  // namespace
}  // namespace orthant::models
