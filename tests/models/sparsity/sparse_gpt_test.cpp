#include "models/sparsity/sparse_gpt.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "tests/support/code_of.h"
#include "tests/support/random_matrix.h"
#include "tests/support/reference_sparse_gpt.h"

namespace orthant::models {
namespace {

using orthant::testing::code_of;
using orthant::testing::HostMatrix;
using orthant::testing::random_matrix;
using orthant::testing::ReferencePattern;
using orthant::testing::same_bits;
using orthant::testing::Square;

// Inputs that hang together: each is half its neighbour.
HostMatrix tokens_of(int64_t tokens, int64_t inputs, uint32_t seed) {
  HostMatrix x = random_matrix(tokens, inputs, seed);
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t i = 1; i < inputs; ++i) x.at(t, i) = 0.5f * x.at(t, i) + 0.5f * x.at(t, i - 1);
  }
  return x;
}

HessianFactor factor_of(const std::vector<HostMatrix>& crops) {
  Memory memory;
  Stream stream;
  InputHessian hessian(memory, crops[0].columns);
  for (const HostMatrix& crop : crops) hessian.add(crop.view(), stream);
  return hessian.factor();
}

Square reference_factor(const std::vector<HostMatrix>& crops) {
  std::vector<std::vector<std::vector<double>>> rows(crops.size());
  for (size_t c = 0; c < crops.size(); ++c) {
    for (int64_t t = 0; t < crops[c].rows; ++t) {
      const float* const x = crops[c].view().row(t);
      rows[c].emplace_back(x, x + crops[c].columns);
    }
  }
  return orthant::testing::upper_cholesky(
      orthant::testing::inverse_of(orthant::testing::damped_hessian(rows)));
}

Square square_of(const HostMatrix& weights) {
  Square rows;
  for (int64_t r = 0; r < weights.rows; ++r)
    rows.emplace_back(weights.view().row(r), weights.view().row(r) + weights.columns);
  return rows;
}

HostMatrix pruned(HostMatrix weights, const HessianFactor& factor, const WeightPattern& pattern) {
  sparse_gpt(weights.view(), factor, pattern);
  return weights;
}

// Sum of squares of (w - pruned) x over the tokens.
double output_error(const HostMatrix& weights, const HostMatrix& after, const HostMatrix& x) {
  double sum = 0.0;
  for (int64_t t = 0; t < x.rows; ++t) {
    for (int64_t o = 0; o < weights.rows; ++o) {
      double error = 0.0;
      for (int64_t i = 0; i < x.columns; ++i)
        error += static_cast<double>(weights.at(o, i) - after.at(o, i)) * static_cast<double>(x.at(t, i));
      sum += error * error;
    }
  }
  return sum;
}

// The Hessian's sums carry f32 roundings of up to 512 terms, 512 * 2^-24 of it at worst and by far less as
// they come; the factor passes them on times the condition, which the damping holds near 100.
constexpr double kTolerance = 1e-3;

TEST(InputHessian, FactorIsThatOfTheInverse) {
  const std::vector<HostMatrix> crops = {tokens_of(300, 37, 1), tokens_of(700, 37, 2)};
  const HessianFactor factor = factor_of(crops);
  const Square expected = reference_factor(crops);
  for (size_t i = 0; i < 37; ++i) {
    for (size_t j = 0; j < 37; ++j) {
      EXPECT_NEAR(factor.upper[i * 37 + j], expected[i][j], 1e-5 * std::fabs(expected[i][i]))
          << i << ' ' << j;
    }
  }
}

TEST(InputHessian, AnInputThatIsAlwaysZeroIsDead) {
  HostMatrix x = tokens_of(60, 6, 3);
  for (int64_t t = 0; t < x.rows; ++t) x.at(t, 4) = 0.0f;
  const HessianFactor factor = factor_of({x});
  EXPECT_EQ(factor.dead, (std::vector<char>{0, 0, 0, 0, 1, 0}));
  const Square expected = reference_factor({x});
  EXPECT_NEAR(factor.upper[4 * 6 + 4], expected[4][4], 1e-6);
}

TEST(InputHessian, ClearForgetsAllCrops) {
  Memory memory;
  Stream stream;
  InputHessian hessian(memory, 8);
  hessian.add(tokens_of(40, 8, 1).view(), stream);
  hessian.clear();
  const HostMatrix x = tokens_of(30, 8, 2);
  hessian.add(x.view(), stream);
  EXPECT_EQ(hessian.factor().upper, factor_of({x}).upper);
}

TEST(InputHessian, RefusesInputsThatAreNotFinite) {
  HostMatrix x = tokens_of(20, 4, 1);
  x.at(3, 2) = INFINITY;
  EXPECT_EQ(code_of([&] { (void)factor_of({x}); }), ExitCode::kNonFinite);
}

struct PatternCase {
  const char* name;
  WeightPattern pattern;
  ReferencePattern reference;
};

class SparseGptCase : public ::testing::TestWithParam<PatternCase> {};

// More inputs than a block has, so that errors cross blocks.
TEST_P(SparseGptCase, IsTheUnblockedReference) {
  const std::vector<HostMatrix> crops = {tokens_of(400, 288, 5), tokens_of(500, 288, 6)};
  const HostMatrix weights = random_matrix(70, 288, 7);
  const HostMatrix result = pruned(weights, factor_of(crops), GetParam().pattern);
  Square expected = square_of(weights);
  orthant::testing::reference_sparse_gpt(expected, reference_factor(crops), GetParam().reference);
  int64_t other_masks = 0;
  for (int64_t o = 0; o < weights.rows; ++o) {
    for (int64_t i = 0; i < weights.columns; ++i) {
      const double want = expected[static_cast<size_t>(o)][static_cast<size_t>(i)];
      if ((want == 0.0) != (result.at(o, i) == 0.0f)) ++other_masks;
      EXPECT_NEAR(result.at(o, i), want, kTolerance) << o << ' ' << i;
    }
  }
  EXPECT_EQ(other_masks, 0);
}

INSTANTIATE_TEST_SUITE_P(Patterns, SparseGptCase,
                         ::testing::Values(PatternCase{"TwoOfFour", {{2, 4}}, {2, 4, 0}},
                                           PatternCase{"EightOfSixteen", {{8, 16}}, {8, 16, 0}},
                                           PatternCase{"OneOfSix", {{1, 6}}, {1, 6, 0}},
                                           PatternCase{"WiderThanABlock", {{60, 144}}, {60, 144, 0}},
                                           PatternCase{"Half", {{}, 0.5}, {0, 0, 0.5}}),
                         [](const auto& each) { return each.param.name; });

TEST(SparseGpt, KeepsExactlyNOfM) {
  const HostMatrix x = tokens_of(200, 48, 1);
  const HostMatrix result = pruned(random_matrix(9, 48, 2), factor_of({x}), {{3, 8}});
  for (int64_t o = 0; o < 9; ++o) {
    for (int64_t first = 0; first < 48; first += 8) {
      int64_t kept = 0;
      for (int64_t i = first; i < first + 8; ++i) kept += result.at(o, i) != 0.0f ? 1 : 0;
      EXPECT_EQ(kept, 3);
    }
  }
}

TEST(SparseGpt, RemovesTheShareOfEachBlock) {
  const HostMatrix x = tokens_of(200, 160, 1);
  const HostMatrix result = pruned(random_matrix(9, 160, 2), factor_of({x}), {{}, 0.7});
  int64_t zeros[2] = {0, 0};
  for (int64_t o = 0; o < 9; ++o) {
    for (int64_t i = 0; i < 160; ++i) zeros[i / 128] += result.at(o, i) == 0.0f ? 1 : 0;
  }
  EXPECT_EQ(zeros[0], share_of_weights(9 * 128, 0.7));
  EXPECT_EQ(zeros[1], share_of_weights(9 * 32, 0.7));
}

TEST(SparseGpt, AllOfAGroupKeepsEveryBit) {
  HostMatrix x = tokens_of(100, 24, 1);
  for (int64_t t = 0; t < x.rows; ++t) x.at(t, 7) = 0.0f;
  const HostMatrix weights = random_matrix(5, 24, 2);
  EXPECT_TRUE(same_bits(pruned(weights, factor_of({x}), {{4, 4}}).values, weights.values));
  EXPECT_TRUE(same_bits(pruned(weights, factor_of({x}), {{}, 0.0}).values, weights.values));
}

TEST(SparseGpt, WeightsOfDeadInputsGoFirst) {
  HostMatrix x = tokens_of(100, 8, 1);
  for (int64_t t = 0; t < x.rows; ++t) x.at(t, 5) = 0.0f;
  HostMatrix weights = random_matrix(6, 8, 2);
  for (int64_t o = 0; o < 6; ++o) weights.at(o, 5) = 100.0f;
  const HostMatrix result = pruned(weights, factor_of({x}), {{3, 4}});
  for (int64_t o = 0; o < 6; ++o) {
    EXPECT_EQ(result.at(o, 5), 0.0f);
    for (const int64_t i : {4, 6, 7}) EXPECT_NE(result.at(o, i), 0.0f);
  }
}

TEST(SparseGpt, EqualScoresOfAGroupGoToTheLowestInput) {
  // Inputs that never meet have a diagonal Hessian, and so nothing is passed on.
  HostMatrix x(4, 4);
  for (int64_t i = 0; i < 4; ++i) x.at(i, i) = 1.0f;
  HostMatrix weights(1, 4);
  weights.values = {-1, 1, 1, -1};
  EXPECT_EQ(pruned(weights, factor_of({x}), {{2, 4}}).values, (std::vector<float>{-1, 1, 0, 0}));
}

TEST(SparseGpt, ErrsLessOnTheCalibrationInputsThanMagnitude) {
  const HostMatrix x = tokens_of(600, 96, 1);
  const HostMatrix weights = random_matrix(40, 96, 2);
  const HessianFactor factor = factor_of({x});
  Stream stream;
  for (const WeightPattern& pattern :
       {WeightPattern{{2, 4}}, WeightPattern{{8, 16}}, WeightPattern{{}, 0.5}}) {
    HostMatrix by_magnitude = weights;
    prune_by_magnitude(by_magnitude.view(), pattern, stream);
    EXPECT_LT(output_error(weights, pruned(weights, factor, pattern), x),
              output_error(weights, by_magnitude, x));
  }
}

TEST(SparseGpt, ThreadsDoNotChangeABit) {
  const int before = omp_get_max_threads();
  std::vector<HostMatrix> results;
  for (const int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    const HessianFactor factor = factor_of({tokens_of(700, 200, 1)});
    results.push_back(pruned(random_matrix(150, 200, 2), factor, {{2, 4}}));
    results.push_back(pruned(random_matrix(150, 200, 2), factor, {{}, 0.5}));
  }
  omp_set_num_threads(before);
  for (size_t i = 2; i < results.size(); ++i)
    EXPECT_TRUE(same_bits(results[i].values, results[i % 2].values)) << i;
}

}  // namespace
}  // namespace orthant::models
