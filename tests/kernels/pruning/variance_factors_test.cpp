#include "kernels/pruning/variance_factors.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/pruning/prune_rows.h"
#include "kernels/ref/pruning.h"
#include "tests/support/random_codes.h"

namespace orthant::kernels {
namespace {

using testing::make_vector;
using testing::random_matrix;
using testing::zero_matrix;

// Of rows that are pruned each by itself they are what prune_rows measures.
TEST(VarianceFactors, AreThoseOfRowsPrunedByThemselves) {
  Stream stream;
  for (const int64_t width : {4, 36, 576}) {
    for (const int64_t rows : {0, 1, 5}) {
      Tensor<float, 2> x = random_matrix(rows, width, 1), kept = zero_matrix(rows, width);
      if (rows > 1) std::fill_n(x.view().row(1), width, 0.5f);
      Tensor<float, 1> expected = make_vector<float>(rows), found = make_vector<float>(rows);
      prune_rows({.x = x.view(), .pattern = {2, 4}}, {.kept = kept.view(), .factors = expected.view()},
                 stream);
      variance_factors(x.view(), kept.view(), found.view(), stream);
      EXPECT_TRUE(testing::same_bits(found.view(), expected.view()));
      for (int64_t r = 0; r < rows; ++r) {
        const auto pruned =
            ref::pruned_row({x.view().row(r), static_cast<size_t>(width)}, {2, 4}, {}, RowCenter::kNone, {});
        EXPECT_NEAR(found.data()[r], pruned.factor, 2e-7 * pruned.factor);
      }
    }
  }
}

TEST(VarianceFactors, AreLargeWhereNothingSurvives) {
  Stream stream;
  const Tensor<float, 2> x = random_matrix(1, 8, 2), kept = zero_matrix(1, 8);
  Tensor<float, 1> factors = make_vector<float>(1);
  variance_factors(x.view(), kept.view(), factors.view(), stream);
  EXPECT_GT(factors.data()[0], 1e3f);  // sqrt(Var(x) / 1e-9)
}

}  // namespace
}  // namespace orthant::kernels
