#include "kernels/neighbour/pair_gradients.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "kernels/neighbour/neighbour.h"
#include "kernels/ref/neighbour.h"
#include "tests/support/random_matrix.h"

namespace orthant {
namespace {

using testing::HostMatrix;
using testing::random_matrix;

struct UnitRows {
  HostMatrix rows;
  std::vector<float> norms;
  explicit UnitRows(const HostMatrix& from) : rows(from.rows, from.columns) {
    norms.resize(static_cast<size_t>(from.rows));
    Stream stream;
    kernels::unit_rows(from.view(), rows.view(), {norms.data(), {from.rows}}, stream);
  }
};

struct PairGradient {
  std::vector<float> self, partner;
  float cosine;
};

// The gradient of weight * cos^2 by both rows.
PairGradient pair_gradient(const HostMatrix& pair, double weight) {
  const int64_t d = pair.columns;
  const UnitRows units(pair);
  float cosine = 0.0f;
  for (int64_t i = 0; i < d; ++i) {
    cosine = std::fma(units.rows.at(0, i), units.rows.at(1, i), cosine);
  }
  const std::vector<int32_t> rows = {0, 1}, others = {1, 0};
  const std::vector<int64_t> offsets = {0, 1, 2};
  const std::vector<float> cosines = {cosine, cosine};
  HostMatrix gradient(2, d);
  Stream stream;
  kernels::pair_gradients(
      units.rows.view(), {units.norms.data(), {2}}, {},
      {{rows.data(), {2}}, {offsets.data(), {3}}, {others.data(), {2}}, {cosines.data(), {2}}}, 2.0 * weight,
      gradient.view(), stream);
  const auto row = [&](int64_t r) {
    const float* const first = std::as_const(gradient).view().row(r);
    return std::vector<float>(first, first + d);
  };
  return {row(0), row(1), cosine};
}

TEST(PairGradients, VanishesForIdenticalRows) {
  HostMatrix pair = random_matrix(2, 64, 28);
  std::copy_n(pair.values.begin(), 64, pair.values.begin() + 64);
  const PairGradient gradient = pair_gradient(pair, 1.0);
  EXPECT_NEAR(gradient.cosine, 1.0f, 1e-6);
  for (const float value : gradient.self) EXPECT_NEAR(value, 0.0f, 1e-6);
  for (const float value : gradient.partner) EXPECT_NEAR(value, 0.0f, 1e-6);
}

// Alone in a chunk of two unit rows at angle t, L = (1/2) sum of cos^2 t over both = cos^2 t, dL/dt = -sin
// 2t.
TEST(PairGradients, OfTwoUnitRowsIsMinusTheSineOfTwiceTheAngle) {
  for (const float t : {0.2f, 0.7f, 1.3f, 2.0f, 3.0f}) {
    HostMatrix pair(2, 2);
    pair.at(0, 0) = 1.0f;
    pair.at(1, 0) = std::cos(t);
    pair.at(1, 1) = std::sin(t);
    // Each row is the partner of the other: both terms have weight 1/2, so the pair has weight 1.
    const PairGradient gradient = pair_gradient(pair, 1.0);
    EXPECT_NEAR(gradient.cosine * gradient.cosine, std::cos(t) * std::cos(t), 1e-6);
    const double along = gradient.partner[0] * -std::sin(t) + gradient.partner[1] * std::cos(t);
    EXPECT_NEAR(along, -std::sin(2.0 * t), 1e-6);
  }
}

TEST(PairGradients, IsOrthogonalToTheRowsAndMatchesFiniteDifferences) {
  const HostMatrix pair = random_matrix(2, 19, 29);
  const double weight = 0.25;
  const PairGradient gradient = pair_gradient(pair, weight);
  double along_self = 0, along_partner = 0;
  std::vector<double> rows[2];
  for (int64_t i = 0; i < 19; ++i) {
    along_self += static_cast<double>(gradient.self[static_cast<size_t>(i)]) * pair.at(0, i);
    along_partner += static_cast<double>(gradient.partner[static_cast<size_t>(i)]) * pair.at(1, i);
    for (int64_t r = 0; r < 2; ++r) rows[r].push_back(pair.at(r, i));
  }
  EXPECT_NEAR(along_self, 0.0, 1e-7);
  EXPECT_NEAR(along_partner, 0.0, 1e-7);
  for (size_t r = 0; r < 2; ++r) {
    for (size_t i = 0; i < 19; ++i) {
      constexpr double kStep = 1e-5;
      const double center = rows[r][i];
      rows[r][i] = center + kStep;
      const double above = kernels::ref::squared_cosine(rows[0], rows[1]);
      rows[r][i] = center - kStep;
      const double below = kernels::ref::squared_cosine(rows[0], rows[1]);
      rows[r][i] = center;
      EXPECT_NEAR((r == 0 ? gradient.self : gradient.partner)[i], weight * (above - below) / (2 * kStep),
                  1e-7);
    }
  }
}

TEST(PairGradients, AddUpThePairsOfARowAndLeaveRowsThatAreNotListed) {
  const UnitRows units(random_matrix(4, 11, 30)), visiting(random_matrix(3, 11, 31));
  const std::vector<int32_t> rows = {3, 1}, others = {0, ~2, 1, ~0};
  const std::vector<int64_t> offsets = {0, 4, 4};
  const std::vector<float> cosines = {0.5f, -0.25f, 0.125f, 1.0f};
  HostMatrix gradient(4, 11);
  for (float& value : gradient.values) value = 7.0f;
  Stream stream;
  kernels::pair_gradients(
      units.rows.view(), {units.norms.data(), {4}}, visiting.rows.view(),
      {{rows.data(), {2}}, {offsets.data(), {3}}, {others.data(), {4}}, {cosines.data(), {4}}}, 3.0,
      gradient.view(), stream);
  for (int64_t i = 0; i < 11; ++i) {
    const double self = units.rows.at(3, i), scale = 3.0 / static_cast<double>(units.norms[3]);
    const double expected =
        scale * (0.5 * (units.rows.at(0, i) - 0.5 * self) - 0.25 * (visiting.rows.at(2, i) + 0.25 * self) +
                 0.125 * (units.rows.at(1, i) - 0.125 * self) + (visiting.rows.at(0, i) - self));
    EXPECT_NEAR(gradient.at(3, i), expected, 1e-6 * scale);
    EXPECT_EQ(gradient.at(1, i), 0.0f) << "a row without pairs";
    EXPECT_EQ(gradient.at(0, i), 7.0f);
    EXPECT_EQ(gradient.at(2, i), 7.0f);
  }
}

}  // namespace
}  // namespace orthant
