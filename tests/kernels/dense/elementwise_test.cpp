#include "kernels/dense/elementwise.h"

#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "tests/support/normal_matrix.h"

namespace orthant::kernels {
namespace {

using testing::NormalMatrix;

TEST(Elementwise, RowsWithARowInPlaceAndBeside) {
  for (const int64_t width : {1, 7, 64, 101, 1100}) {
    NormalMatrix x(40, width, 1), row(1, width, 2), sum(40, width, 3);
    const Vector<const float> bias{row.view().data, {width}};
    Stream stream;
    add_row(x.view(), bias, sum.view(), stream);
    NormalMatrix difference = x;
    subtract_row(difference.view(), bias, difference.view(), stream);
    for (int64_t r = 0; r < 40; ++r) {
      for (int64_t c = 0; c < width; ++c) {
        ASSERT_EQ(sum.view().row(r)[c], x.view().row(r)[c] + bias.data[c]);
        ASSERT_EQ(difference.view().row(r)[c], x.view().row(r)[c] - bias.data[c]);
      }
    }
  }
}

TEST(Elementwise, VectorsBelowAndAboveWhatIsWorthThreads) {
  Stream stream;
  for (const int64_t count : {0, 1, 1000, 40000}) {
    NormalMatrix a(1, count, 1), b(1, count, 2), difference(1, count, 3), copied(1, count, 4);
    NormalMatrix sum = b, scaled = b;
    add(flat(a.view()), flat(sum.view()), stream);
    subtract(flat<const float>(a.view()), flat<const float>(b.view()), flat(difference.view()), stream);
    scale(0.3f, flat(scaled.view()), stream);
    copy(flat(a.view()), flat(copied.view()), stream);
    for (size_t i = 0; i < a.values().size(); ++i) {
      ASSERT_EQ(sum.values()[i], b.values()[i] + a.values()[i]);
      ASSERT_EQ(difference.values()[i], a.values()[i] - b.values()[i]);
      ASSERT_EQ(scaled.values()[i], 0.3f * b.values()[i]);
      ASSERT_EQ(copied.values()[i], a.values()[i]);
    }
  }
}

TEST(Elementwise, SumsOfTwoWidthsRoundOnce) {
  Stream stream;
  std::vector<double> x = {1.0 / 3.0, -2e-9, 5.0};
  std::vector<float> into = {1.0f, 2.0f, 3.0f}, narrow = {0.1f, -0.0f, 7.0f};
  add_rounded({x.data(), {3}}, true, {into.data(), {3}}, stream);
  EXPECT_EQ(into, (std::vector<float>{1.0f + static_cast<float>(1.0 / 3.0), 2.0f + -2e-9f, 8.0f}));
  add_rounded({x.data(), {3}}, false, {into.data(), {3}}, stream);
  EXPECT_EQ(into, (std::vector<float>{static_cast<float>(1.0 / 3.0), -2e-9f, 5.0f}));
  divide(-2.0, {x.data(), {3}}, stream);
  EXPECT_EQ(x, (std::vector<double>{-1.0 / 6.0, 1e-9, -2.5}));
  widen({narrow.data(), {3}}, {x.data(), {3}}, stream);
  EXPECT_EQ(x, (std::vector<double>{static_cast<double>(0.1f), -0.0, 7.0}));
}

TEST(Elementwise, ShapesThatDifferAreRefused) {
  Stream stream;
  NormalMatrix a(2, 3, 1), b(3, 2, 2), row(1, 2, 3);
  EXPECT_THROW(add_row(a.view(), {row.view().data, {2}}, a.view(), stream), Error);
  EXPECT_THROW(subtract_row(a.view(), {row.view().data, {3}}, b.view(), stream), Error);
  EXPECT_THROW(add(flat(a.view()), {b.view().data, {5}}, stream), Error);
}

}  // namespace
}  // namespace orthant::kernels
