#include "kernels/pruning/mend_products.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/random_codes.h"

namespace orthant::kernels {
namespace {

using testing::copy_of;
using testing::random_matrix;

Vector<const float> vector_of(const Tensor<float, 2>& row) {
  return {row.data(), {row.shape()[1]}};
}

TEST(MendProducts, FollowTheFormulaWithAnyOfTheVectors) {
  Stream stream;
  for (const int64_t rows : {0, 1, 5}) {
    for (const int64_t outputs : {1, 19}) {
      const Tensor<float, 2> y = random_matrix(rows, outputs, 1), factors = random_matrix(1, rows, 2),
                             centers = random_matrix(1, rows, 3), sums = random_matrix(1, outputs, 4),
                             scale = random_matrix(1, outputs, 5), offset = random_matrix(1, outputs, 6);
      for (int which = 0; which < 16; ++which) {
        Mending mending;
        if ((which & 1) != 0) mending.row_factors = vector_of(factors);
        if ((which & 2) != 0) {
          mending.centers = vector_of(centers);
          mending.weight_sums = vector_of(sums);
        }
        if ((which & 4) != 0) mending.column_factors = vector_of(scale);
        if ((which & 8) != 0) mending.column_offsets = vector_of(offset);
        Tensor<float, 2> found = copy_of(y);
        mend_products(mending, found.view(), stream);
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t o = 0; o < outputs; ++o) {
            const double product = y.view().row(r)[o];
            const double factor = (which & 1) != 0 ? factors.data()[r] : 1.0;
            const double shift = (which & 2) != 0 ? double{centers.data()[r]} * sums.data()[o] : 0.0;
            const double column = (which & 4) != 0 ? scale.data()[o] : 1.0;
            const double after = (which & 8) != 0 ? offset.data()[o] : 0.0;
            const double expected = (factor * product + shift) * column + after;
            // Four roundings of what is added.
            const double size =
                (std::abs(factor * product) + std::abs(shift)) * std::abs(column) + std::abs(after);
            EXPECT_NEAR(found.view().row(r)[o], expected, 4 * 6e-8 * size) << which;
          }
        }
      }
    }
  }
}

TEST(MendProducts, WithoutVectorsChangeNothing) {
  Stream stream;
  Tensor<float, 2> y = random_matrix(3, 7, 1);
  const Tensor<float, 2> before = copy_of(y);
  mend_products({}, y.view(), stream);
  EXPECT_TRUE(testing::same_bits(y.view(), copy_of(before).view()));
}

}  // namespace
}  // namespace orthant::kernels
