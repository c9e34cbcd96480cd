#include "kernels/pruning/column_norms.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/random_codes.h"

namespace orthant::kernels {
namespace {

using testing::make_vector;
using testing::random_matrix;
using testing::zero_matrix;

// Four sequences of which one is empty.
Tensor<int64_t, 1> offsets_of(int64_t rows) {
  Tensor<int64_t, 1> offsets = make_vector<int64_t>(5);
  const int64_t ends[] = {0, 1, 1, rows / 2, rows};
  std::copy(std::begin(ends), std::end(ends), offsets.data());
  return offsets;
}

TEST(ColumnNorms, AreThoseOfEachSequence) {
  Stream stream;
  for (const int64_t width : {1, 63, 200}) {
    const Tensor<float, 2> x = random_matrix(9, width, 1);
    const Tensor<int64_t, 1> offsets = offsets_of(9);
    Tensor<float, 2> norms = zero_matrix(4, width);
    column_norms(x.view(), offsets.view(), norms.view(), stream);
    for (int64_t s = 0; s < 4; ++s) {
      for (int64_t c = 0; c < width; ++c) {
        double squares = 0.0;
        for (int64_t r = offsets.data()[s]; r < offsets.data()[s + 1]; ++r)
          squares += std::pow(double{x.view().row(r)[c]}, 2);
        EXPECT_EQ(norms.view().row(s)[c], static_cast<float>(std::sqrt(squares)));
      }
    }
  }
}

TEST(ColumnPeakGains, AreOneWhereNothingIsActivated) {
  Stream stream;
  Tensor<float, 2> x = random_matrix(9, 70, 1), peaks = random_matrix(1, 70, 2), gains = zero_matrix(4, 70);
  for (float& peak : peaks.view().span()) peak = std::abs(peak) + 1e-8f;
  for (int64_t r = 0; r < 9; ++r) x.view().row(r)[69] = 0.0f;
  const Tensor<int64_t, 1> offsets = offsets_of(9);
  column_peak_gains(x.view(), offsets.view(), {peaks.data(), {70}}, gains.view(), stream);
  for (int64_t s = 0; s < 4; ++s) {
    for (int64_t c = 0; c < 70; ++c) {
      float peak = 0.0f;
      for (int64_t r = offsets.data()[s]; r < offsets.data()[s + 1]; ++r)
        peak = std::max(peak, std::abs(x.view().row(r)[c]));
      const double expected = peak == 0.0f ? 1.0 : std::sqrt(double{peaks.data()[c]} / peak);
      EXPECT_NEAR(gains.view().row(s)[c], expected, 2.4e-7 * expected);
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
