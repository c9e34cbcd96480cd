#include "kernels/backward/rms_norm_backward.h"

#include <gtest/gtest.h>

#include "kernels/ref/rms_norm.h"
#include "tests/support/central_difference.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using testing::NormalMatrix;

void expect_slopes_of_the_reference(int64_t rows, int64_t width) {
  NormalMatrix x(rows, width, 1), weight(1, width, 2), gradient(rows, width, 3), into(rows, width, 4);
  const std::vector<float> before = into.values();
  const Vector<const float> weights{weight.view().data, {width}};
  Stream stream;
  kernels::rms_norm_backward(x.view(), weights, 1e-5f, gradient.view(), into.view(), stream);
  for (size_t i = 0; i < before.size(); i += 1 + before.size() / 40) {
    const double expected = testing::central_difference(x.values()[i], 1e-3, [&] {
      return testing::weighted_sum(kernels::ref::rms_norm(x.view(), weights, 1e-5f), gradient.values());
    });
    // The step's own error, which grows where a row is one value, and a few roundings to f32.
    ASSERT_NEAR(into.values()[i] - before[i], expected, 2e-5 * (1.0 + std::abs(expected)))
        << rows << "x" << width;
  }
}

TEST(RmsNormBackward, IsTheSlopeOfTheReferenceOverOddShapes) {
  for (const int64_t width : {2, 3, 15, 17, 64, 576}) {
    for (const int64_t rows : {0, 1, 5}) expect_slopes_of_the_reference(rows, width);
  }
}

TEST(RmsNormBackward, StaysFiniteForAZeroRow) {
  std::vector<float> x(8, 0.0f), weight(8, 1.0f), gradient(8, 1.0f), into(8, 0.0f);
  Stream stream;
  kernels::rms_norm_backward({x.data(), {1, 8}}, {weight.data(), {8}}, 1e-4f, {gradient.data(), {1, 8}},
                             {into.data(), {1, 8}}, stream);
  for (const float value : into) EXPECT_FLOAT_EQ(value, 100.0f);
}

}  // namespace
}  // namespace orthant
