#include "kernels/backward/outer_sums.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using testing::NormalMatrix;

std::vector<float> outer_sums(NormalMatrix& a, NormalMatrix& b) {
  const auto [rows, m] = a.view().shape;
  NormalMatrix turned(m, rows, 3), into(m, b.view().shape[1], 4);
  Stream stream;
  kernels::add_outer_sums(a.view(), b.view(), turned.view(), into.view(), stream);
  return into.values();
}

TEST(OuterSums, MatchTheDoubleSumOverOddShapes) {
  for (const int64_t rows : {0, 1, 5, 70}) {
    for (const int64_t n : {1, 15, 16, 33}) {
      NormalMatrix a(rows, 19, 1), b(rows, n, 2), before(19, n, 4);
      const std::vector<float> found = outer_sums(a, b);
      for (int64_t m = 0; m < 19; ++m) {
        for (int64_t c = 0; c < n; ++c) {
          double sum = before.view().row(m)[c];
          for (int64_t r = 0; r < rows; ++r)
            sum += static_cast<double>(a.view().row(r)[m]) * b.view().row(r)[c];
          // A chain of at most 71 roundings of sums of order 10.
          ASSERT_NEAR(found[static_cast<size_t>(m * n + c)], sum, 2e-5) << rows << " " << n;
        }
      }
    }
  }
}

TEST(OuterSums, GiveTheSameBitsOnAnyThreads) {
  NormalMatrix a(200, 40, 1), b(200, 70, 2);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const std::vector<float> one = outer_sums(a, b);
  omp_set_num_threads(3);
  EXPECT_EQ(outer_sums(a, b), one);
  omp_set_num_threads(before);
}

TEST(ColumnSums, AddTheColumnsAndTheirProducts) {
  NormalMatrix a(33, 130, 1), b(33, 130, 2), factors(1, 33, 3);
  std::vector<float> sums(130, 1.0f), products(130, 0.0f), plain(130, 0.0f);
  Stream stream;
  kernels::add_column_sums(a.view(), -2.0f, {sums.data(), {130}}, stream);
  kernels::add_column_products(a.view(), b.view(), {factors.view().data, {33}}, {products.data(), {130}},
                               stream);
  kernels::add_column_products(a.view(), b.view(), {}, {plain.data(), {130}}, stream);
  for (int64_t c = 0; c < 130; ++c) {
    double sum = 0.0, product = 0.0, unscaled = 0.0;
    for (int64_t r = 0; r < 33; ++r) {
      const double left = a.view().row(r)[c], right = b.view().row(r)[c];
      sum += left;
      unscaled += left * right;
      product += left * right * factors.view().data[r];
    }
    const auto i = static_cast<size_t>(c);
    EXPECT_NEAR(sums[i], 1.0 - 2.0 * sum, 1e-5);
    EXPECT_NEAR(products[i], product, 1e-5);
    EXPECT_NEAR(plain[i], unscaled, 1e-5);
  }
}

}  // namespace
}  // namespace orthant
