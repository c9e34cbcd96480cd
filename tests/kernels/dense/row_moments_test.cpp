#include "kernels/dense/row_moments.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ref/row_moments.h"
#include "tests/support/normal_matrix.h"

namespace orthant::kernels {
namespace {

using testing::NormalMatrix;

double mean_of(const float* row, int64_t width) {
  double sum = 0.0;
  for (int64_t c = 0; c < width; ++c) sum += row[c];
  return sum / static_cast<double>(width);
}

double squares_about(const float* row, int64_t width, double center) {
  double sum = 0.0;
  for (int64_t c = 0; c < width; ++c) sum += (row[c] - center) * (row[c] - center);
  return sum;
}

TEST(RowMoments, NormsAreRootsOfSquares) {
  Stream stream;
  for (const int64_t width : {1, 17, 576}) {
    NormalMatrix matrix(5, width, 1);
    std::vector<double> norms(5);
    std::vector<float> rounded(5);
    row_norms(matrix.view(), Vector<double>{norms.data(), {5}}, stream);
    row_norms(matrix.view(), Vector<float>{rounded.data(), {5}}, stream);
    for (int64_t r = 0; r < 5; ++r) {
      const double expected = std::sqrt(squares_about(matrix.view().row(r), width, 0.0));
      EXPECT_NEAR(norms[static_cast<size_t>(r)], expected, 1e-12 * expected);
      EXPECT_EQ(rounded[static_cast<size_t>(r)], static_cast<float>(norms[static_cast<size_t>(r)]));
    }
  }
}

TEST(RowMoments, NormsOfPartsAreAddedUp) {
  Stream stream;
  for (const int64_t parts : {1, 2, 3}) {
    for (const int64_t width : {1, 5, 64}) {
      NormalMatrix matrix(4, parts * width, 2);
      std::vector<double> norms(4);
      row_norms(matrix.view(), Vector<double>{norms.data(), {4}}, stream, parts);
      for (int64_t r = 0; r < 4; ++r) {
        double expected = 0.0;
        for (int64_t part = 0; part < parts; ++part) {
          expected += std::sqrt(squares_about(matrix.view().row(r) + part * width, width, 0.0));
        }
        EXPECT_NEAR(norms[static_cast<size_t>(r)], expected, 1e-12 * expected) << parts << " of " << width;
      }
    }
  }
}

TEST(RowMoments, SquaredNormsMatchTheReference) {
  constexpr double kUnit = 6e-8;
  Stream stream;
  for (const int64_t width : {1, 16, 101, 4096}) {
    NormalMatrix x(5, width, 3);
    std::vector<float> found(5);
    squared_norms(x.view(), {found.data(), {5}}, stream);
    const auto expected = ref::squared_norms(x.view());
    // Of 64 lanes, each a chain of width / 64.
    const double steps = static_cast<double>(width) / 64.0 + 8.0;
    for (size_t row = 0; row < 5; ++row)
      EXPECT_NEAR(found[row], expected[row], steps * kUnit * expected[row]) << width;
  }
  NormalMatrix x(3, 4, 1);
  std::vector<float> two(2);
  EXPECT_THROW(squared_norms(x.view(), {two.data(), {2}}, stream), Error);
}

TEST(RowMoments, DistancesAreFromTheMeanRow) {
  Stream stream;
  NormalMatrix x(3, 2, 1);
  std::vector<double> sums = {3.0, -6.0}, distances(3);
  squared_distances(x.view(), {sums.data(), {2}}, 3.0, {distances.data(), {3}}, stream);
  for (int64_t r = 0; r < 3; ++r) {
    const double a = x.view().row(r)[0] - 1.0, b = x.view().row(r)[1] + 2.0;
    EXPECT_NEAR(distances[static_cast<size_t>(r)], a * a + b * b, 1e-12);
  }
}

TEST(RowMoments, StandardRowsHaveTheirMomentsAndComeBack) {
  Stream stream;
  constexpr int64_t kRows = 4, kWidth = 300;
  for (const RowStandard standard : {RowStandard::kLayerNorm, RowStandard::kUnitMeanSquare}) {
    NormalMatrix x(kRows, kWidth, 1, 7.0f);
    for (float& value : x.values()) value += 3.0f;
    NormalMatrix rows = x;
    std::vector<float> mean(kRows), deviation(kRows);
    standardize_rows(standard, rows.view(), {mean.data(), {kRows}}, {deviation.data(), {kRows}}, stream);
    for (int64_t r = 0; r < kRows; ++r) {
      const float* const row = rows.view().row(r);
      if (standard == RowStandard::kLayerNorm) {
        EXPECT_NEAR(mean_of(row, kWidth), 0.0, 1e-6);
        EXPECT_NEAR(squares_about(row, kWidth, 0.0) / (kWidth - 1), 1.0, 1e-4);
      } else {
        EXPECT_EQ(mean[static_cast<size_t>(r)], 0.0f);
        EXPECT_NEAR(squares_about(row, kWidth, 0.0) / kWidth, 1.0, 1e-5);
      }
    }
    restore_rows({mean.data(), {kRows}}, {deviation.data(), {kRows}}, rows.view(), stream);
    for (size_t i = 0; i < x.values().size(); ++i) EXPECT_NEAR(rows.values()[i], x.values()[i], 1e-5);
  }
}

TEST(RowMoments, ARowOfZerosStaysFinite) {
  Stream stream;
  for (const RowStandard standard : {RowStandard::kLayerNorm, RowStandard::kUnitMeanSquare}) {
    std::vector<float> row(8, 0.0f);
    float mean = 1.0f, deviation = 1.0f;
    standardize_rows(standard, {row.data(), {1, 8}}, {&mean, {1}}, {&deviation, {1}}, stream);
    EXPECT_EQ(row, std::vector<float>(8, 0.0f));
    EXPECT_GT(deviation, 0.0f);
  }
}

}  // namespace
}  // namespace orthant::kernels
