#include "kernels/dense/ordered_sums.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace orthant::kernels
