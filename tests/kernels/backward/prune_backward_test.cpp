#include "kernels/backward/prune_backward.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/pruning/prune_rows.h"
#include "tests/support/central_difference.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using testing::NormalMatrix;

double variance_of(const std::vector<double>& row) {
  double mean = 0.0, squares = 0.0;
  for (const double value : row) mean += value / static_cast<double>(row.size());
  for (const double value : row) squares += (value - mean) * (value - mean);
  return squares / static_cast<double>(row.size() - 1);
}

// Rows of x less `center` where `mask` holds, times nu.
std::vector<double> pruned(const NormalMatrix& rows, const std::vector<float>& center,
                           const std::vector<bool>& mask, bool restores_variance) {
  NormalMatrix copy = rows;
  const auto x = copy.view();
  std::vector<double> out;
  for (int64_t r = 0; r < x.shape[0]; ++r) {
    std::vector<double> plain, kept;
    for (int64_t c = 0; c < x.shape[1]; ++c) {
      plain.push_back(x.row(r)[c]);
      const bool survives = mask[static_cast<size_t>(r * x.shape[1] + c)];
      kept.push_back(survives ? plain.back() - static_cast<double>(center[static_cast<size_t>(c)]) : 0.0);
    }
    const double nu = std::sqrt(variance_of(plain) / std::max(variance_of(kept), 1e-9));
    for (const double value : kept) out.push_back(restores_variance ? nu * value : value);
  }
  return out;
}

void expect_slopes(int64_t width, bool restores_variance) {
  const int64_t rows = 5;
  NormalMatrix x(rows, width, 1), kept(rows, width, 2), gradient(rows, width, 3), of_kept(rows, width, 4),
      of_x(rows, width, 5), center(1, width, 6, 0.1f);
  const std::vector<float> before = of_x.values();
  std::vector<float> factors(restores_variance ? static_cast<size_t>(rows) : 0);
  const Vector<float> nu{factors.data(), {static_cast<int64_t>(factors.size())}};
  Stream stream;
  kernels::prune_rows({.x = x.view(),
                       .pattern = {2, 4},
                       .center = kernels::RowCenter::kGiven,
                       .given_center = {center.view().data, {width}}},
                      {.kept = kept.view(), .factors = nu}, stream);
  std::vector<bool> mask;
  for (const float value : kept.values()) mask.push_back(value != 0.0f);
  kernels::prune_backward({.x = x.view(), .kept = kept.view(), .factors = nu, .gradient = gradient.view()},
                          of_kept.view(), of_x.view(), stream);
  const auto loss = [&] {
    return testing::weighted_sum(pruned(x, center.values(), mask, restores_variance), gradient.values());
  };
  for (size_t i = 0; i < before.size(); ++i) {
    const double slope = testing::central_difference(x.values()[i], 1e-3, loss);
    ASSERT_NEAR(of_x.values()[i] - before[i], slope, 2e-5 * (1.0 + std::abs(slope))) << width << " " << i;
    ASSERT_TRUE(mask[i] || of_kept.values()[i] == 0.0f);
  }
  for (int64_t c = 0; c < width; ++c) {
    double sum = 0.0;
    for (int64_t r = 0; r < rows; ++r) sum += static_cast<double>(of_kept.view().row(r)[c]);
    const double slope = testing::central_difference(center.values()[static_cast<size_t>(c)], 1e-3, loss);
    ASSERT_NEAR(-sum, slope, 2e-5 * (1.0 + std::abs(slope))) << width << " " << c;
  }
}

TEST(PruneBackward, IsTheSlopeOfWhatSurvives) {
  for (const int64_t width : {4, 12, 52}) expect_slopes(width, false);
}

TEST(PruneBackward, FollowsTheFactorThatRestoresTheVariance) {
  for (const int64_t width : {4, 12, 52}) expect_slopes(width, true);
}

TEST(PruneBackward, IsFiniteForRowsThatDoNotVary) {
  std::vector<float> x(8, 0.0f), kept(8, 0.0f), factor(1, 0.0f), gradient(8, 1.0f), of_kept(8), of_x(8, 0.0f);
  Stream stream;
  kernels::prune_backward({.x = {x.data(), {1, 8}},
                           .kept = {kept.data(), {1, 8}},
                           .factors = {factor.data(), {1}},
                           .gradient = {gradient.data(), {1, 8}}},
                          {of_kept.data(), {1, 8}}, {of_x.data(), {1, 8}}, stream);
  for (const float value : of_x) EXPECT_EQ(value, 0.0f);
}

TEST(RestBackward, AddsWhereNothingSurvived) {
  std::vector<float> kept = {1.0f, 0.0f, -2.0f, 0.0f}, gradient = {1.0f, 2.0f, 3.0f, 4.0f}, into(4, 10.0f);
  Stream stream;
  kernels::rest_backward({kept.data(), {2, 2}}, {gradient.data(), {2, 2}}, {into.data(), {2, 2}}, stream);
  EXPECT_EQ(into, (std::vector<float>{10.0f, 12.0f, 10.0f, 14.0f}));
}

}  // namespace
}  // namespace orthant
