#include "kernels/transformer/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/ref/rope.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using testing::NormalMatrix;

TEST(Rope, MatchesTheReferenceOverOddShapes) {
  for (const int64_t head_dim : {2, 6, 64, 96}) {
    for (const int64_t heads : {1, 3}) {
      const int64_t rows = 37, half = head_dim / 2;
      std::vector<double> frequencies;
      for (int64_t i = 0; i < half; ++i) frequencies.push_back(std::pow(10000.0, -2.0 * i / head_dim));
      NormalMatrix cosines(64, half, 1), sines(64, half, 2), x(rows, heads * head_dim, 3);
      for (int64_t p = 0; p < 64; ++p) {
        for (int64_t i = 0; i < half; ++i) {
          cosines.view().row(p)[i] = static_cast<float>(std::cos(p * frequencies[static_cast<size_t>(i)]));
          sines.view().row(p)[i] = static_cast<float>(std::sin(p * frequencies[static_cast<size_t>(i)]));
        }
      }
      std::vector<int32_t> positions(rows);
      for (size_t row = 0; row < positions.size(); ++row)
        positions[row] = static_cast<int32_t>(row * 29 % 64);
      const Vector<const int32_t> at{positions.data(), {rows}};
      const auto expected = kernels::ref::rotate_heads(x.view(), at, frequencies);
      Stream stream;
      kernels::rotate_heads(x.view(), at, cosines.view(), sines.view(), stream);
      for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(x.values()[i], expected[i], 2e-6) << i;
    }
  }
}

TEST(Rope, LeavesPositionZeroUnchanged) {
  NormalMatrix x(1, 8, 4), one(1, 4, 5), zero(1, 4, 6);
  for (float& value : one.values()) value = 1.0f;
  for (float& value : zero.values()) value = 0.0f;
  const std::vector<float> before = x.values();
  const int32_t position = 0;
  Stream stream;
  kernels::rotate_heads(x.view(), {&position, {1}}, one.view(), zero.view(), stream);
  EXPECT_EQ(x.values(), before);
}

}  // namespace
}  // namespace orthant
