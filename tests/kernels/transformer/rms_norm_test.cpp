#include "kernels/transformer/rms_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ref/rms_norm.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using testing::NormalMatrix;

void expect_near_reference(int64_t rows, int64_t width, float scale) {
  NormalMatrix x(rows, width, 1, scale), weight(1, width, 2), out(rows, width, 3);
  Stream stream;
  const Vector<const float> weights{weight.view().data, {width}};
  kernels::rms_norm(x.view(), weights, 1e-5f, out.view(), stream);
  const auto expected = kernels::ref::rms_norm(x.view(), weights, 1e-5f);
  for (size_t i = 0; i < expected.size(); ++i) {
    // One rounding of the scale, two of the products, and the f32 sums of at most 64 terms a lane.
    ASSERT_NEAR(out.values()[i], expected[i], 3e-6 * std::abs(expected[i]) + 1e-30)
        << rows << "x" << width << " " << i;
  }
}

TEST(RmsNorm, MatchesTheReferenceOverOddShapes) {
  for (const int64_t width : {1, 3, 15, 16, 17, 64, 576, 1025, 2049}) {
    for (const int64_t rows : {0, 1, 3, 130}) expect_near_reference(rows, width, 1.0f);
  }
}

TEST(RmsNorm, HoldsForMassiveAndTinyRows) {
  expect_near_reference(5, 576, 2e4f);
  expect_near_reference(5, 576, 1e-6f);
}

TEST(RmsNorm, GivesZeroForAZeroRow) {
  std::vector<float> row(32, 0.0f), weight(32, 2.0f);
  Stream stream;
  const Matrix<float> view{row.data(), {1, 32}};
  kernels::rms_norm(view, {weight.data(), {32}}, 1e-5f, view, stream);
  for (const float value : row) EXPECT_EQ(value, 0.0f);
}

}  // namespace
}  // namespace orthant
