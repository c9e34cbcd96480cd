#include "kernels/dense/ordered_sums.h"

#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "tests/support/normal_matrix.h"

namespace orthant::kernels {
namespace {

TEST(OrderedSums, SegmentsAreAddedInSequence) {
  Stream stream;
  const std::vector<double> values = {1e16, 1.0, -1e16, 0.25, 3.0};
  const std::vector<int64_t> offsets = {0, 3, 3, 5};
  std::vector<double> sums(3, 7.0);
  segment_sums({values.data(), {5}}, {offsets.data(), {4}}, {sums.data(), {3}}, stream);
  EXPECT_EQ(sums, (std::vector<double>{(1e16 + 1.0) + -1e16, 0.0, 3.25}));
}

TEST(OrderedSums, RowsAreAddedInSequence) {
  Stream stream;
  for (const int64_t rows : {0, 1, 9}) {
    testing::NormalMatrix matrix(rows, 5, 1, 1e4f);
    std::vector<float> sum(5, 7.0f), expected(5, 0.0f);
    sum_of_rows(matrix.view(), {sum.data(), {5}}, stream);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < 5; ++c) expected[static_cast<size_t>(c)] += matrix.view().row(r)[c];
    }
    EXPECT_EQ(sum, expected);
  }
}

TEST(OrderedSums, NeighboursAreAddedInATree) {
  Stream stream;
  // ((1e8 + 1) + (-1e8 + 2)) + 4: 1 and 2 are lost in f32 beside 1e8, 4 is not.
  std::vector<float> parts = {1e8f, 1.0f, -1e8f, 2.0f, 4.0f};
  add_in_tree({parts.data(), {5, 1}}, stream);
  EXPECT_EQ(parts[0], ((1e8f + 1.0f) + (-1e8f + 2.0f)) + 4.0f);
  std::vector<float> wide = {1.0f, 2.0f, 10.0f, 20.0f, 100.0f, 200.0f};
  add_in_tree({wide.data(), {3, 2}}, stream);
  EXPECT_EQ(wide[0], 111.0f);
  EXPECT_EQ(wide[1], 222.0f);
}

TEST(OrderedSums, CopiedColumnsAreThose) {
  Stream stream;
  const std::vector<float> from = {0.0f, 1.0f, 2.0f, 10.0f, 11.0f, 12.0f};
  std::vector<float> into(4);
  copy_columns({from.data(), {2, 3}}, 1, {into.data(), {2, 2}}, stream);
  EXPECT_EQ(into, (std::vector<float>{1.0f, 2.0f, 11.0f, 12.0f}));
  EXPECT_THROW(copy_columns({from.data(), {2, 3}}, 2, {into.data(), {2, 2}}, stream), Error);
}

}  // namespace
}  // namespace orthant::kernels
