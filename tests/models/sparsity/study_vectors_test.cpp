// The vectors of activation_sparsity 18: a matrix of two tokens, one of weights, and for each criterion and
// mitigation the mask and the outputs.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/dense/gemm.h"
#include "kernels/pruning/column_norms.h"
#include "kernels/pruning/mend_products.h"
#include "kernels/pruning/prune_rows.h"
#include "models/sparsity/weight_gains.h"

namespace orthant::models {
namespace {

constexpr int64_t kTokens = 2, kInputs = 8, kOutputs = 3;
float kX[] = {.9f, -.1f, .3f, -.4f, 1.2f, .2f, -.7f, .05f, -.2f, .6f, .1f, 2.0f, -.3f, .4f, .8f, -.5f};
float kW[] = {.5f,  -1.f, .25f, .1f,  .3f,  2.f, -.6f, .4f, .2f, .8f,   -.9f, .05f,
              -.1f, 1.5f, .7f,  -.3f, -.4f, .3f, 1.1f, .2f, .6f, -1.2f, .1f,  .9f};

Matrix<float> x() {
  return {kX, {kTokens, kInputs}};
}
Matrix<float> w() {
  return {kW, {kOutputs, kInputs}};
}

struct Case {
  kernels::PrunePattern pattern;
  std::vector<float> gains = {};  // [1, inputs]
  kernels::RowCenter center = kernels::RowCenter::kNone;
  bool restores_variance = false;
};

struct Outcome {
  std::string masks;           // "10011010 / 01010011"
  std::vector<double> y;       // [tokens, outputs]
  std::vector<float> factors;  // [tokens]
};

Outcome outcome_of(const Case& c) {
  Memory memory;
  Stream stream;
  Tensor<float, 2> kept(memory, "test", {kTokens, kInputs}), y(memory, "test", {kTokens, kOutputs});
  const bool centres = c.center != kernels::RowCenter::kNone;
  std::vector<float> centers(centres ? kTokens : 0), factors(kTokens);
  std::vector<float> gains = c.gains;
  kernels::prune_rows({.x = x(),
                       .pattern = c.pattern,
                       .gains = {gains.data(), {gains.empty() ? 0 : 1, static_cast<int64_t>(gains.size())}},
                       .center = c.center},
                      {.kept = kept.view(),
                       .centers = {centers.data(), {static_cast<int64_t>(centers.size())}},
                       .factors = {factors.data(), {c.restores_variance ? kTokens : 0}}},
                      stream);
  kernels::PackedWeights packed(memory, "test", kOutputs, kInputs);
  packed.pack(w(), stream);
  kernels::matmul_nt(kept.view(), packed, y.view(), stream);
  std::vector<float> sums = weighted_row_sums(w());
  kernels::mend_products({.row_factors = {factors.data(), {c.restores_variance ? kTokens : 0}},
                          .centers = {centers.data(), {static_cast<int64_t>(centers.size())}},
                          .weight_sums = {sums.data(), {centres ? kOutputs : 0}}},
                         y.view(), stream);
  Outcome outcome;
  for (int64_t i = 0; i < kTokens * kInputs; ++i) {
    if (i == kInputs) outcome.masks += " / ";
    outcome.masks += kept.data()[i] != 0.0f ? '1' : '0';
  }
  outcome.y.assign(y.data(), y.data() + kTokens * kOutputs);
  outcome.factors = factors;
  return outcome;
}

void expect(const Case& c, const std::string& masks, const std::vector<double>& y) {
  const Outcome found = outcome_of(c);
  EXPECT_EQ(found.masks, masks);
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(found.y[i], y[i], 2e-6) << i;
}

std::vector<float> clact_gains() {
  Stream stream;
  int64_t offsets[] = {0, kTokens};
  std::vector<float> gains(kInputs);
  kernels::column_norms(x(), {offsets, {2}}, {gains.data(), {1, kInputs}}, stream);
  return gains;
}

std::vector<float> pcs_gains() {
  Stream stream;
  int64_t offsets[] = {0, kTokens};
  const std::vector<float> peaks = weight_peaks(w());
  std::vector<float> gains(kInputs);
  kernels::column_peak_gains(x(), {offsets, {2}}, {peaks.data(), {kInputs}}, {gains.data(), {1, kInputs}},
                             stream);
  return gains;
}

TEST(StudyVectors, Dense) {
  expect({.pattern = {8, 8}}, "11111111 / 11111111", {1.785, -.515, .315, -.445, 1.79, -.26});
}

TEST(StudyVectors, Magnitude) {
  for (const kernels::PrunePattern pattern : {kernels::PrunePattern{2, 4}, {4, 8}})
    expect({.pattern = pattern}, "10011010 / 01010011", {1.19, -.45, .21, -1.08, 1.29, .21});
}

TEST(StudyVectors, Clact) {
  for (const kernels::PrunePattern pattern : {kernels::PrunePattern{2, 4}, {4, 8}})
    expect({.pattern = pattern, .gains = clact_gains()}, "10011010 / 01011010",
           {1.19, -.45, .21, -.97, 1.17, .48});
}

TEST(StudyVectors, Amber) {
  const std::vector<float> gains = amber_gains(w());
  const double expected[] = {3.39178, 6.76363, 7.12996, 1, 2.52931, 13.10102, 4.78095, 4.39329};
  for (size_t j = 0; j < kInputs; ++j) EXPECT_NEAR(gains[j], expected[j], 6e-6) << j;
  expect({.pattern = {2, 4}, .gains = gains}, "10101010 / 01010110", {1.305, -.7, .62, -.08, 1.74, .18});
  expect({.pattern = {4, 8}, .gains = gains}, "10001110 / 01000111", {1.63, -.13, .05, -.48, 1.79, -.67});
}

TEST(StudyVectors, ScaledChannels) {
  const std::vector<float> gains = pcs_gains();
  const double scales[] = {1.34164, .7746, .52223, 3.16228, 1.41421, .44721, 1.06904, .74536};
  for (size_t j = 0; j < kInputs; ++j) EXPECT_NEAR(1.0 / gains[j], scales[j], 6e-6) << j;
  expect({.pattern = {2, 4}, .gains = gains}, "10101010 / 01010110", {1.305, -.7, .62, -.08, 1.74, .18});
  expect({.pattern = {4, 8}, .gains = gains}, "10101010 / 01000111", {1.305, -.7, .62, -.48, 1.79, -.67});
}

TEST(StudyVectors, DynamicShift) {
  expect({.pattern = {2, 4}, .center = kernels::RowCenter::kMedian}, "10011010 / 01010011",
         {1.2725, -.395, .265, -.775, 1.36, .22});
  expect({.pattern = {2, 4}, .center = kernels::RowCenter::kMean}, "10011010 / 10011001",
         {1.489062, -.250625, .409375, .045625, 1.00125, -.04125});
}

TEST(StudyVectors, Variance) {
  const Case c{.pattern = {2, 4}, .restores_variance = true};
  expect(c, "10011010 / 01010011", {1.191005, -.45038, .210177, -1.117917, 1.33529, .217373});
  const Outcome found = outcome_of(c);
  EXPECT_NEAR(found.factors[0], 1.000844, 1e-6);
  EXPECT_NEAR(found.factors[1], 1.035109, 1e-6);
}

TEST(StudyVectors, RowSums) {
  const std::vector<float> sums = weighted_row_sums(w());
  EXPECT_NEAR(sums[0], 1.95, 1e-6);
  EXPECT_NEAR(sums[1], 1.95, 1e-6);
  EXPECT_NEAR(sums[2], 1.6, 1e-6);
}

TEST(WeightVariances, AreUnbiasedOverOutputs) {
  const std::vector<float> variances = weight_variances(w());
  // Column 0: .5, .2, -.4.
  const double mean = 0.1;
  EXPECT_NEAR(variances[0], (std::pow(.5 - mean, 2) + std::pow(.2 - mean, 2) + std::pow(-.4 - mean, 2)) / 2.0,
              1e-7);
  EXPECT_EQ(weight_variances(w().rows(0, 1))[0], 0.0f);
}

}  // namespace
}  // namespace orthant::models
