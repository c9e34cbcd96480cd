// The dense product with operands rounded to bf16: what is rounded, and that nothing else changes.

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/encode/encode.h"
#include "kernels/neighbour/neighbour.h"
#include "kernels/ref/gemm.h"
#include "kernels/ref/round_bf16.h"
#include "tests/support/random_matrix.h"

namespace orthant {
namespace {

using kernels::Isa;
using kernels::PackedWeights;
using kernels::Precision;
using testing::HostMatrix;
using testing::random_matrix;
using testing::same_bits;

HostMatrix rounded(HostMatrix matrix) {
  for (float& value : matrix.values) value = kernels::ref::round_bf16(value);
  return matrix;
}

HostMatrix product(const HostMatrix& x, const HostMatrix& w, Precision precision,
                   Isa isa = kernels::active_isa()) {
  Memory memory;
  Stream stream;
  PackedWeights packed(memory, "weights", w.rows, w.columns, precision);
  packed.pack(w.view(), stream);
  HostMatrix out(x.rows, w.rows);
  matmul_nt(x.view(), packed, out.view(), isa, stream);
  return out;
}

class GemmBf16Of : public ::testing::TestWithParam<Isa> {};

TEST_P(GemmBf16Of, MatchesDoublePrecisionOnRoundedOperands) {
  for (const int64_t rows : {1, 5, 12, 25}) {
    for (const int64_t columns : {1, 16, 33}) {
      for (const int64_t depth : {1, 64, 321}) {
        const HostMatrix x = random_matrix(rows, depth, 1), w = random_matrix(columns, depth, 2);
        const HostMatrix out = product(x, w, Precision::kBF16, GetParam());
        const auto expected = kernels::ref::matmul_nt(rounded(x).view(), rounded(w).view());
        // A chain of `depth` roundings of partial sums, each at most depth in size.
        const double tolerance = 6e-8 * static_cast<double>(depth) * std::sqrt(static_cast<double>(depth));
        for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(out.values[i], expected[i], tolerance) << i;
      }
    }
  }
}

TEST_P(GemmBf16Of, HasTheBitsOfTheF32ProductOfRoundedOperands) {
  // Odd shapes, a last strip and a last panel that are not full, and depths packed in parts and in groups.
  for (const auto& [rows, columns, depth] :
       {std::array<int64_t, 3>{1, 1, 1}, {7, 17, 33}, {25, 50, 577}, {150, 413, 1201}, {97, 18, 2901}}) {
    const HostMatrix x = random_matrix(rows, depth, 3), w = random_matrix(columns, depth, 4);
    const HostMatrix found = product(x, w, Precision::kBF16, GetParam());
    const HostMatrix expected = product(rounded(x), rounded(w), Precision::kF32, GetParam());
    EXPECT_TRUE(same_bits(found.values, expected.values)) << rows << "x" << columns << "x" << depth;
    EXPECT_FALSE(same_bits(found.values, product(x, w, Precision::kF32, GetParam()).values));
  }
}

TEST_P(GemmBf16Of, HasTheSameBitsInEveryInstructionSet) {
  const HostMatrix x = random_matrix(61, 300, 5), w = random_matrix(70, 300, 6);
  EXPECT_TRUE(same_bits(product(x, w, Precision::kBF16, GetParam()).values,
                        product(x, w, Precision::kBF16, Isa::kScalar).values));
}

INSTANTIATE_TEST_SUITE_P(Isas, GemmBf16Of, ::testing::ValuesIn(kernels::supported_isas()),
                         [](const auto& which) { return std::string(kernels::name_of(which.param)); });

TEST(GemmBf16, DoesNotDependOnRowsComputedTogetherOrOnThreads) {
  const HostMatrix x = random_matrix(211, 130, 7), w = random_matrix(99, 130, 8);
  const HostMatrix whole = product(x, w, Precision::kBF16);
  const int before = omp_get_max_threads();
  for (const int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    EXPECT_TRUE(same_bits(product(x, w, Precision::kBF16).values, whole.values)) << threads;
  }
  omp_set_num_threads(before);
  for (const int64_t first : {0, 1, 100, 210}) {
    HostMatrix row(1, x.columns);
    std::copy_n(x.view().row(first), x.columns, row.values.data());
    EXPECT_TRUE(same_bits(product(row, w, Precision::kBF16).values, whole.view().rows(first, 1).span()));
  }
}

TEST(GemmBf16, LeavesTheOperandsAsTheyAre) {
  const HostMatrix x = random_matrix(13, 40, 9), w = random_matrix(20, 40, 10);
  HostMatrix x_used = x, w_used = w;
  (void)product(x_used, w_used, Precision::kBF16);
  EXPECT_TRUE(same_bits(x_used.values, x.values));
  EXPECT_TRUE(same_bits(w_used.values, w.values));
}

TEST(GemmBf16, RoundsChosenRowsToo) {
  const HostMatrix x = random_matrix(9, 40, 11), w = random_matrix(60, 40, 12);
  const std::vector<int32_t> chosen = {59, 3, 17};
  Memory memory;
  Stream stream;
  PackedWeights packed(memory, "weights", 60, 40, Precision::kBF16);
  packed.pack_chosen(w.view(), {chosen.data(), {3}}, stream);
  HostMatrix out(9, 3);
  matmul_nt(x.view(), packed, out.view(), stream);
  const HostMatrix all = product(x, w, Precision::kBF16);
  for (int64_t r = 0; r < 9; ++r) {
    for (int64_t c = 0; c < 3; ++c) EXPECT_EQ(out.at(r, c), all.at(r, chosen[static_cast<size_t>(c)]));
  }
}

TEST(GemmBf16, KeepsNaNInItsOwnElements) {
  HostMatrix x = random_matrix(8, 20, 12), w = random_matrix(18, 20, 13);
  x.at(3, 7) = std::numeric_limits<float>::quiet_NaN();
  const HostMatrix out = product(x, w, Precision::kBF16);
  for (int64_t r = 0; r < 8; ++r) {
    for (int64_t c = 0; c < 18; ++c) EXPECT_EQ(std::isnan(out.at(r, c)), r == 3);
  }
}

// What encode_topk or encode_above makes of `x` and `w`.
struct Encoded {
  std::vector<int64_t> offsets;
  std::vector<int32_t> latents;
  std::vector<float> values;
};

Encoded entries_of(kernels::CodesView codes) {
  const auto entries = codes.entries();
  return {{codes.row_offsets.data, codes.row_offsets.data + codes.rows() + 1},
          {codes.latents.data, codes.latents.data + entries},
          {codes.values.data, codes.values.data + entries}};
}

Encoded topk(const HostMatrix& x, const HostMatrix& w, const std::vector<float>& scale, Precision precision) {
  constexpr int64_t kKept = 7;
  Memory memory;
  Stream stream;
  PackedWeights packed(memory, "weights", w.rows, w.columns, precision);
  packed.pack(w.view(), stream);
  kernels::EncodeWorkspace workspace(memory, omp_get_max_threads(), kKept, w.columns);
  kernels::Codes codes(memory, x.rows, x.rows * kKept);
  encode_topk({.input = x.view(),
               .encoder = &packed,
               .selection_scale = {scale.data(), {static_cast<int64_t>(scale.size())}}},
              kKept, workspace, codes.view(), stream);
  return entries_of(codes.view());
}

Encoded above(const HostMatrix& x, const HostMatrix& w, Precision precision) {
  Memory memory;
  Stream stream;
  PackedWeights packed(memory, "weights", w.rows, w.columns, precision);
  packed.pack(w.view(), stream);
  kernels::EncodeWorkspace workspace(memory, omp_get_max_threads(), 8, w.columns);
  kernels::Codes codes(memory, x.rows, x.rows * w.rows);
  EXPECT_LE(encode_above({.input = x.view(), .encoder = &packed}, 0.5f, {}, workspace, codes.view(), stream),
            codes.view().capacity());
  return entries_of(codes.view());
}

void expect_equal(const Encoded& found, const Encoded& expected) {
  EXPECT_EQ(found.offsets, expected.offsets);
  EXPECT_EQ(found.latents, expected.latents);
  EXPECT_TRUE(same_bits(found.values, expected.values));
}

TEST(EncodeBf16, SelectsWhatTheRoundedOperandsGive) {
  const HostMatrix x = random_matrix(150, 50, 14), w = random_matrix(300, 50, 15);
  expect_equal(topk(x, w, {}, Precision::kBF16), topk(rounded(x), rounded(w), {}, Precision::kF32));
  expect_equal(above(x, w, Precision::kBF16), above(rounded(x), rounded(w), Precision::kF32));
  EXPECT_NE(above(x, w, Precision::kBF16).values, above(x, w, Precision::kF32).values);
}

TEST(EncodeBf16, EmitsRoundedProductsOfLatentsThatHaveNoRank) {
  // Scales of zero rank nothing, so the first latents fill the row with activations computed one by one.
  const HostMatrix x = random_matrix(20, 50, 16), w = random_matrix(90, 50, 17);
  const std::vector<float> scale(90, 0.0f);
  expect_equal(topk(x, w, scale, Precision::kBF16), topk(rounded(x), rounded(w), scale, Precision::kF32));
}

TEST(NeighbourBf16, ComparesRoundedRows) {
  const HostMatrix queries = random_matrix(30, 40, 18), candidates = random_matrix(70, 40, 19);
  const auto largest = [](const HostMatrix& from, const HostMatrix& to, Precision precision) {
    Memory memory;
    Stream stream;
    PackedWeights packed(memory, "weights", to.rows, to.columns, precision);
    packed.pack(to.view(), stream);
    const std::vector<int64_t> excluded(static_cast<size_t>(from.rows), -1);
    std::vector<float> values(excluded.size(), -std::numeric_limits<float>::infinity());
    std::vector<int64_t> indices(excluded.size(), -1);
    kernels::ProductTile tile(memory, "tile", from.rows, to.rows);
    nearest_neighbour(from.view(), packed, 0, {excluded.data(), {from.rows}}, tile,
                      {values.data(), {from.rows}}, {indices.data(), {from.rows}}, stream);
    return values;
  };
  EXPECT_TRUE(same_bits(largest(queries, candidates, Precision::kBF16),
                        largest(rounded(queries), rounded(candidates), Precision::kF32)));
}

}  // namespace
}  // namespace orthant
