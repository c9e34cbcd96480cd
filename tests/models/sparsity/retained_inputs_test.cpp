#include "models/sparsity/retained_inputs.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <map>

#include "kernels/ref/pruning.h"
#include "runtime/core/error.h"
#include "tests/support/memory_model.h"

namespace orthant::models {
namespace {

using Sums = std::pair<double, double>;  // of squares and of magnitudes

Sums sums_of(std::span<const float> row, const std::vector<bool>& counted) {
  Sums sums{0.0, 0.0};
  for (size_t c = 0; c < row.size(); ++c) {
    if (!counted[c]) continue;
    sums.first += static_cast<double>(row[c]) * row[c];
    sums.second += std::abs(static_cast<double>(row[c]));
  }
  return sums;
}

class RetainedInputsOfAModel : public ::testing::Test {
 protected:
  [[nodiscard]] std::vector<RetainedInputs> found(std::initializer_list<const char*> names) {
    std::vector<SparsityPattern> patterns;
    for (const char* name : names) patterns.push_back(parse_pattern(name));
    const std::vector<std::span<const int32_t>> crops(crops_.begin(), crops_.end());
    return retained_inputs(weights_, patterns, crops, memory_, stream_);
  }
  // Calls see(layer, projection, x) for each crop, by a forward of its own.
  void look(const ProjectionInputs& see) {
    RunState state(memory_, weights_, {40, 1, 40});
    PruningState pruning_state(memory_, weights_.config, state.limits, true);
    for (const std::vector<int32_t>& crop : crops_) {
      if (crop.empty()) continue;
      const int64_t offsets[] = {0, static_cast<int64_t>(crop.size())}, last[] = {offsets[1] - 1};
      ForwardArgs args{.batch = {crop, offsets}, .logit_rows = last};
      args.inputs = &see;
      args.pruning_state = &pruning_state;
      (void)forward(weights_, args, state, stream_);
    }
  }

  orthant::testing::MemoryModel model_{orthant::testing::varied_config()};
  Memory memory_;
  Stream stream_;
  Weights weights_ = load_weights(model_, {}, memory_, stream_);
  std::vector<std::vector<int32_t>> crops_ = {{1, 2, 3, 4, 5, 6, 7}, {}, {9}, std::vector<int32_t>(40, 3)};
};

TEST_F(RetainedInputsOfAModel, AreMeansOverTokensOfTheirShares) {
  const auto retained = found({"2:4", "50%"});
  ASSERT_EQ(retained.size(), static_cast<size_t>(4 * model_.config().layers));
  std::map<std::pair<int64_t, Projection>, std::vector<Sums>> expected;
  look([&](int64_t layer, Projection projection, Matrix<const float> x) {
    auto& sums = expected[{layer, projection}];
    sums.resize(2);
    const kernels::PrunePattern patterns[] = {{2, 4}, {x.shape[1] / 2, 0}};
    for (int64_t row = 0; row < x.shape[0]; ++row) {
      const std::span<const float> values(x.row(row), static_cast<size_t>(x.shape[1]));
      std::vector<float> scores;
      for (const float value : values) scores.push_back(std::abs(value));
      const Sums all = sums_of(values, std::vector<bool>(values.size(), true));
      for (size_t p = 0; p < 2; ++p) {
        const Sums kept = sums_of(values, kernels::ref::survivors(scores, patterns[p]));
        sums[p].first += kept.first / all.first / 48.0;
        sums[p].second += kept.second / all.second / 48.0;
      }
    }
  });
  for (const RetainedInputs& input : retained) {
    for (size_t p = 0; p < 2; ++p) {
      const Sums& sums = expected.at({input.layer, input.projection})[p];
      EXPECT_NEAR(input.patterns[p].squares, sums.first, 1e-12);
      EXPECT_NEAR(input.patterns[p].magnitudes, sums.second, 1e-12);
    }
  }
}

TEST_F(RetainedInputsOfAModel, AreAllOfADensePatternAndNoneOfNothing) {
  for (const RetainedInputs& input : found({"dense", "4:4", "0:4", "100%"})) {
    EXPECT_EQ(input.patterns[0].squares, 1.0);
    EXPECT_EQ(input.patterns[1].magnitudes, 1.0);
    EXPECT_EQ(input.patterns[2].squares, 0.0);
    EXPECT_EQ(input.patterns[3].magnitudes, 0.0);
  }
  EXPECT_THROW((void)found({"2:7"}), Error);
  crops_.clear();
  EXPECT_TRUE(found({"2:4"}).empty());
}

TEST_F(RetainedInputsOfAModel, DoNotDependOnThreads) {
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto alone = found({"2:4"});
  omp_set_num_threads(3);
  const auto together = found({"2:4"});
  omp_set_num_threads(threads);
  ASSERT_EQ(alone.size(), together.size());
  for (size_t i = 0; i < alone.size(); ++i) {
    EXPECT_EQ(alone[i].patterns[0].squares, together[i].patterns[0].squares);
    EXPECT_EQ(alone[i].patterns[0].magnitudes, together[i].patterns[0].magnitudes);
  }
}

}  // namespace
}  // namespace orthant::models
