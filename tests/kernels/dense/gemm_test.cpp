#include "kernels/dense/gemm.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <limits>

#include "kernels/ref/gemm.h"
#include "tests/support/random_matrix.h"

namespace orthant {
namespace {

using kernels::Isa;
using kernels::PackedWeights;
using testing::HostMatrix;
using testing::random_matrix;
using testing::same_bits;

HostMatrix product(const HostMatrix& x, const HostMatrix& w, Isa isa = kernels::active_isa()) {
  Memory memory;
  Stream stream;
  PackedWeights packed(memory, "weights", w.rows, w.columns);
  packed.pack(w.view(), stream);
  HostMatrix out(x.rows, w.rows);
  out.values.assign(out.values.size(), std::numeric_limits<float>::quiet_NaN());
  matmul_nt(x.view(), packed, out.view(), isa, stream);
  return out;
}

HostMatrix rows_of(const HostMatrix& matrix, int64_t first, int64_t count) {
  HostMatrix part(count, matrix.columns);
  std::copy_n(matrix.values.begin() + first * matrix.columns, count * matrix.columns, part.values.begin());
  return part;
}

class GemmOf : public ::testing::TestWithParam<Isa> {};

TEST_P(GemmOf, MatchesDoublePrecisionOnOddShapes) {
  for (const int64_t rows : {0, 1, 2, 5, 6, 7, 12, 13, 25}) {
    for (const int64_t columns : {0, 1, 15, 16, 17, 33, 50}) {
      for (const int64_t depth : {0, 1, 3, 64, 321}) {
        const HostMatrix x = random_matrix(rows, depth, 1), w = random_matrix(columns, depth, 2);
        const HostMatrix out = product(x, w, GetParam());
        const auto expected = kernels::ref::matmul_nt(x.view(), w.view());
        // A chain of `depth` roundings of partial sums, each at most depth in size.
        const double tolerance = 6e-8 * static_cast<double>(depth) * std::sqrt(static_cast<double>(depth));
        for (size_t i = 0; i < expected.size(); ++i) {
          ASSERT_NEAR(out.values[i], expected[i], tolerance)
              << rows << "x" << columns << "x" << depth << " at " << i;
        }
      }
    }
  }
}

TEST_P(GemmOf, IsOneChainOfFusedMultiplyAddsInAscendingDepth) {
  const HostMatrix x = random_matrix(13, 700, 3), w = random_matrix(37, 700, 4);
  const HostMatrix out = product(x, w, GetParam());
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t c = 0; c < w.rows; ++c) {
      float chain = 0.0f;
      for (int64_t k = 0; k < x.columns; ++k) chain = std::fma(x.at(r, k), w.at(c, k), chain);
      ASSERT_EQ(out.at(r, c), chain) << r << " " << c;
    }
  }
}

TEST_P(GemmOf, StaysOneChainWhereTheDepthIsPackedInGroups) {
  // 96 rows are packed over 2,688 of the depth at once, 2 rows over 20,480.
  for (const auto& [rows, depth] : {std::pair<int64_t, int64_t>{97, 2901}, {2, 43001}}) {
    const HostMatrix x = random_matrix(rows, depth, 3), w = random_matrix(18, depth, 4);
    const HostMatrix out = product(x, w, GetParam());
    for (const int64_t r : {int64_t{0}, rows - 1}) {
      for (const int64_t c : {0, 15, 16, 17}) {
        float chain = 0.0f;
        for (int64_t k = 0; k < depth; ++k) chain = std::fma(x.at(r, k), w.at(c, k), chain);
        ASSERT_EQ(out.at(r, c), chain) << r << " " << c;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, GemmOf, ::testing::ValuesIn(kernels::supported_isas()),
                         [](const auto& which) { return std::string(kernels::name_of(which.param)); });

TEST(GemmBits, DoNotDependOnRowsOrColumnsComputedTogether) {
  const HostMatrix x = random_matrix(311, 577, 5), w = random_matrix(413, 577, 6);
  const HostMatrix whole = product(x, w);
  for (const int64_t first : {0, 1, 6, 150, 310}) {
    for (const int64_t count : {1, 2, 6, 11, 145}) {
      if (first + count > x.rows) continue;
      const HostMatrix part = product(rows_of(x, first, count), w);
      ASSERT_TRUE(same_bits(part.values, rows_of(whole, first, count).values)) << first << " " << count;
    }
  }
  for (const int64_t first : {0, 16, 103, 412}) {
    const int64_t count = std::min<int64_t>(103, w.rows - first);
    const HostMatrix part = product(x, rows_of(w, first, count));
    for (int64_t r = 0; r < x.rows; ++r) {
      ASSERT_TRUE(same_bits(part.view().rows(r, 1).span(),
                            {whole.view().row(r) + first, static_cast<size_t>(count)}));
    }
  }
}

TEST(GemmBits, DoNotDependOnThreads) {
  const HostMatrix x = random_matrix(97, 130, 7), w = random_matrix(99, 130, 8);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const HostMatrix one = product(x, w);
  for (const int threads : {2, 3}) {
    omp_set_num_threads(threads);
    EXPECT_TRUE(same_bits(one.values, product(x, w).values)) << threads;
  }
  omp_set_num_threads(before);
}

TEST(Gemm, PacksChosenRowsInTheirOrderAndFewerThanBuiltFor) {
  const HostMatrix x = random_matrix(9, 40, 9), w = random_matrix(60, 40, 10);
  const std::vector<int32_t> chosen = {59, 3, 3, 17, 20};
  Memory memory;
  Stream stream;
  PackedWeights packed(memory, "weights", 60, 40);
  packed.pack(w.view(), stream);
  packed.pack_chosen(w.view(), {chosen.data(), {5}}, stream);
  ASSERT_EQ(packed.columns(), 5);
  HostMatrix out(9, 5);
  matmul_nt(x.view(), packed, out.view(), stream);
  const HostMatrix all = product(x, w);
  for (int64_t r = 0; r < 9; ++r) {
    for (int64_t c = 0; c < 5; ++c) EXPECT_EQ(out.at(r, c), all.at(r, chosen[static_cast<size_t>(c)]));
  }
  packed.pack(w.view(), stream);
  EXPECT_EQ(packed.columns(), 60);
}

TEST(Gemm, RefusesShapesThatDoNotFit) {
  Memory memory;
  Stream stream;
  PackedWeights packed(memory, "weights", 4, 8);
  const HostMatrix w = random_matrix(5, 8, 11);
  EXPECT_THROW(packed.pack(w.view(), stream), Error);
  HostMatrix x(2, 7), out(2, 4);
  EXPECT_THROW(matmul_nt(x.view(), packed, out.view(), stream), Error);
}

TEST(Gemm, KeepsNaNInItsOwnElements) {
  HostMatrix x = random_matrix(8, 20, 12), w = random_matrix(18, 20, 13);
  x.at(3, 7) = std::numeric_limits<float>::quiet_NaN();
  const HostMatrix out = product(x, w);
  for (int64_t r = 0; r < 8; ++r) {
    for (int64_t c = 0; c < 18; ++c) EXPECT_EQ(std::isnan(out.at(r, c)), r == 3);
  }
}

}  // namespace
}  // namespace orthant
