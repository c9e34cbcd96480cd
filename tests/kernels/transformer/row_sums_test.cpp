#include "kernels/transformer/row_sums.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/ref/row_sums.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using testing::NormalMatrix;

constexpr double kUnit = 6e-8;

TEST(RowSums, AddsElementByElementWhateverTheThreads) {
  for (const int64_t rows : {1, 7, 700}) {
    NormalMatrix from(rows, 101, 1), into(rows, 101, 2);
    const std::vector<float> before = into.values();
    Stream stream;
    kernels::add_rows(from.view(), into.view(), stream);
    for (size_t i = 0; i < before.size(); ++i) ASSERT_EQ(into.values()[i], before[i] + from.values()[i]);
  }
}

TEST(RowSums, AddsABiasToEveryRow) {
  for (const int64_t rows : {1, 7, 700}) {
    NormalMatrix bias(1, 101, 1), into(rows, 101, 2);
    const std::vector<float> before = into.values();
    Stream stream;
    kernels::add_to_rows({bias.values().data(), {101}}, into.view(), stream);
    for (size_t i = 0; i < before.size(); ++i)
      ASSERT_EQ(into.values()[i], before[i] + bias.values()[i % 101]);
  }
}

TEST(RowSums, SquaredNormsMatchTheReference) {
  for (const int64_t width : {1, 16, 101, 4096}) {
    NormalMatrix x(5, width, 3);
    std::vector<float> found(5);
    Stream stream;
    kernels::squared_norms(x.view(), {found.data(), {5}}, stream);
    const auto expected = kernels::ref::squared_norms(x.view());
    // Of 64 lanes, each a chain of width / 64.
    const double steps = static_cast<double>(width) / 64.0 + 8.0;
    for (size_t row = 0; row < 5; ++row)
      EXPECT_NEAR(found[row], expected[row], steps * kUnit * expected[row]) << width;
  }
}

TEST(RowSums, RefusesShapesThatDiffer) {
  NormalMatrix a(3, 4, 1), b(3, 5, 2);
  std::vector<float> two(2);
  Stream stream;
  EXPECT_THROW(kernels::add_rows(a.view(), b.view(), stream), Error);
  EXPECT_THROW(kernels::add_to_rows({two.data(), {2}}, b.view(), stream), Error);
  EXPECT_THROW(kernels::squared_norms(a.view(), {two.data(), {2}}, stream), Error);
}

}  // namespace
}  // namespace orthant
