#include "kernels/neighbour/neighbour.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "kernels/neighbour/pair_screen.h"
#include "kernels/ref/neighbour.h"
#include "tests/support/random_matrix.h"

namespace orthant {
namespace {

using kernels::Isa;
using kernels::PackedWeights;
using testing::HostMatrix;
using testing::random_matrix;
using testing::same_bits;

constexpr float kNone = -std::numeric_limits<float>::infinity();

struct Neighbours {
  std::vector<float> values;
  std::vector<int64_t> indices;
  explicit Neighbours(int64_t queries)
      : values(static_cast<size_t>(queries), kNone), indices(static_cast<size_t>(queries), -1) {}
  bool operator==(const Neighbours&) const = default;
};

HostMatrix unit(const HostMatrix& rows) {
  HostMatrix result(rows.rows, rows.columns);
  std::vector<float> norms(static_cast<size_t>(rows.rows));
  Stream stream;
  kernels::unit_rows(rows.view(), result.view(), {norms.data(), {rows.rows}}, stream);
  return result;
}

std::vector<int64_t> counting(int64_t n) {
  std::vector<int64_t> numbers(static_cast<size_t>(n));
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  return numbers;
}

// Adds rows [first, first + count) of `candidates` to what was found.
void search(const HostMatrix& queries, const HostMatrix& candidates, int64_t first, int64_t count,
            const std::vector<int64_t>& excluded, Neighbours& found, Isa isa = kernels::active_isa()) {
  Memory memory;
  Stream stream;
  PackedWeights packed(memory, "candidates", count, candidates.columns);
  packed.pack(candidates.view().rows(first, count), stream);
  kernels::ProductTile tile(memory, "tile", queries.rows, count);
  kernels::nearest_neighbour(queries.view(), packed, first, {excluded.data(), {queries.rows}}, tile,
                             {found.values.data(), {queries.rows}}, {found.indices.data(), {queries.rows}},
                             isa, stream);
}

Neighbours among_themselves(const HostMatrix& rows, Isa isa = kernels::active_isa()) {
  Neighbours found(rows.rows);
  search(rows, rows, 0, rows.rows, counting(rows.rows), found, isa);
  return found;
}

class NeighbourOf : public ::testing::TestWithParam<Isa> {};

TEST_P(NeighbourOf, MatchesDoublePrecisionOnOddShapes) {
  for (const int64_t rows : {0, 1, 2, 17, 97}) {
    for (const int64_t depth : {1, 7, 64}) {
      const HostMatrix raw = random_matrix(rows, depth, 20), units = unit(raw);
      const Neighbours found = among_themselves(units, GetParam());
      const auto expected = kernels::ref::nearest_neighbour(raw.view(), raw.view(), counting(rows));
      const double tolerance = 2e-7 * static_cast<double>(depth + 2);
      for (size_t q = 0; q < expected.size(); ++q) {
        if (expected[q].index < 0) {
          EXPECT_EQ(found.indices[q], -1);
          EXPECT_EQ(found.values[q], kNone);
          continue;
        }
        EXPECT_NEAR(found.values[q], expected[q].cosine, tolerance);
        EXPECT_NE(found.indices[q], static_cast<int64_t>(q));
        // At depth 1 all cosines are 1 or -1, up to rounding: any of them is right.
        if (depth == 1) continue;
        EXPECT_EQ(found.indices[q], expected[q].index) << rows << " rows, depth " << depth;
      }
    }
  }
}

TEST_P(NeighbourOf, GivesTheBitsOfTheScalarBody) {
  const HostMatrix rows = unit(random_matrix(130, 45, 21));
  EXPECT_EQ(among_themselves(rows, GetParam()), among_themselves(rows, Isa::kScalar));
}

TEST(NearestNeighbour, ValueHasTheBitsOfThePlainProduct) {
  const HostMatrix rows = unit(random_matrix(1100, 50, 22));
  const Neighbours found = among_themselves(rows);
  Memory memory;
  Stream stream;
  PackedWeights packed(memory, "rows", 1100, 50);
  packed.pack(rows.view(), stream);
  HostMatrix gram(1100, 1100);
  matmul_nt(rows.view(), packed, gram.view(), stream);
  for (int64_t q = 0; q < 1100; ++q) {
    gram.at(q, q) = kNone;
    const float* const row = std::as_const(gram).view().row(q);
    const float* const best = std::max_element(row, row + 1100);
    ASSERT_EQ(found.values[static_cast<size_t>(q)], *best);
    ASSERT_EQ(found.indices[static_cast<size_t>(q)], best - row);
  }
}

TEST(NearestNeighbour, CandidatesMayComeInPiecesInAnyOrder) {
  const HostMatrix rows = unit(random_matrix(700, 12, 23));
  const Neighbours whole = among_themselves(rows);
  for (const bool backwards : {false, true}) {
    std::vector<std::pair<int64_t, int64_t>> pieces = {{0, 1}, {1, 511}, {512, 3}, {515, 185}};
    if (backwards) std::reverse(pieces.begin(), pieces.end());
    Neighbours found(700);
    for (const auto& [first, count] : pieces) search(rows, rows, first, count, counting(700), found);
    EXPECT_EQ(found, whole);
  }
}

TEST(NearestNeighbour, TiesGoToTheLowestEvenWhenItComesLater) {
  HostMatrix rows(600, 4);
  for (int64_t r = 0; r < 600; ++r) rows.at(r, r % 2) = 1.0f;
  Neighbours found(600);
  search(rows, rows, 300, 300, counting(600), found);
  search(rows, rows, 0, 300, counting(600), found);
  EXPECT_EQ(found, among_themselves(rows));
  EXPECT_EQ(found.indices[0], 2);
  EXPECT_EQ(found.indices[1], 3);
  EXPECT_EQ(found.indices[2], 0);
  EXPECT_EQ(found.indices[599], 1);
}

TEST(NearestNeighbour, ExcludesNothingForMinusOneAndNaNNeverWins) {
  HostMatrix rows = unit(random_matrix(40, 8, 24));
  Neighbours found(40);
  search(rows, rows, 0, 40, std::vector<int64_t>(40, -1), found);
  for (int64_t q = 0; q < 40; ++q) EXPECT_EQ(found.indices[static_cast<size_t>(q)], q);
  rows.at(5, 2) = std::numeric_limits<float>::quiet_NaN();
  const Neighbours broken = among_themselves(rows);
  for (size_t q = 0; q < 40; ++q) EXPECT_NE(broken.indices[q], 5);
  EXPECT_EQ(broken.indices[5], -1);
}

TEST(NearestNeighbour, FindsTheSameWhereTheDepthIsPackedInGroups) {
  const HostMatrix rows = unit(random_matrix(290, 2901, 31));
  const Neighbours found = among_themselves(rows);
  for (const int64_t q : {0, 100, 289}) {
    HostMatrix single(1, 2901);
    std::copy_n(rows.view().row(q), 2901, single.values.begin());
    Neighbours alone(1);
    search(single, rows, 0, 290, {q}, alone);
    EXPECT_EQ(found.values[static_cast<size_t>(q)], alone.values[0]);
    EXPECT_EQ(found.indices[static_cast<size_t>(q)], alone.indices[0]);
  }
}

// The best over bands [0, cuts[0]), [cuts[0], cuts[1]), ... of the pairs; each band sees its own rows and all
// after.
Neighbours of_pairs(const HostMatrix& rows, const std::vector<int64_t>& cuts,
                    Isa isa = kernels::active_isa()) {
  Neighbours found(rows.rows);
  Memory memory;
  Stream stream;
  kernels::PairWorkspace workspace(memory, omp_get_max_threads(), rows.rows);
  int64_t first = 0;
  for (const int64_t end : cuts) {
    const int64_t count = rows.rows - first;
    const Matrix<const float> after = rows.view().rows(first, count);
    Neighbours band(count);
    const Vector<float> values = {band.values.data(), {count}};
    const Vector<int64_t> indices = {band.indices.data(), {count}};
    if (kernels::screen_ops(isa) != nullptr) {
      kernels::PairScreen screen(memory, omp_get_max_threads(), count, rows.columns);
      screen.nearest_of_pairs(after, end - first, workspace, values, indices, isa, stream);
    } else {
      PackedWeights packed(memory, "rows", count, rows.columns);
      packed.pack(after, stream);
      kernels::nearest_of_pairs(after, packed, end - first, workspace, values, indices, isa, stream);
    }
    for (int64_t i = 0; i < count; ++i) {
      const float value = band.values[static_cast<size_t>(i)];
      const int64_t index = band.indices[static_cast<size_t>(i)];
      if (index < 0) continue;
      float& best = found.values[static_cast<size_t>(first + i)];
      int64_t& best_index = found.indices[static_cast<size_t>(first + i)];
      if (!(value > best || (value == best && first + index < best_index))) continue;
      best = value;
      best_index = first + index;
    }
    first = end;
  }
  return found;
}

TEST_P(NeighbourOf, PairsFindTheNeighboursAmongThemselves) {
  for (const int64_t rows : {0, 1, 2, 17, 97, 300, 611}) {
    const HostMatrix units = unit(random_matrix(rows, 21, 40));
    EXPECT_EQ(of_pairs(units, {rows}, GetParam()), among_themselves(units, GetParam())) << rows << " rows";
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, NeighbourOf, ::testing::ValuesIn(kernels::supported_isas()),
                         [](const auto& which) { return std::string(kernels::name_of(which.param)); });

TEST(NearestOfPairs, BandsOfAnySizeAddUpToTheWhole) {
  const HostMatrix rows = unit(random_matrix(700, 12, 41));
  const Neighbours whole = among_themselves(rows);
  EXPECT_EQ(of_pairs(rows, {1, 2, 129, 400, 699, 700}), whole);
  EXPECT_EQ(of_pairs(rows, {250, 250, 700}), whole);
}

TEST(NearestOfPairs, TiesGoToTheLowestForAnyNumberOfThreads) {
  HostMatrix rows(600, 4);
  for (int64_t r = 0; r < 600; ++r) rows.at(r, r % 2) = 1.0f;
  const Neighbours expected = among_themselves(rows);
  const int before = omp_get_max_threads();
  for (const int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    EXPECT_EQ(of_pairs(rows, {600}), expected);
    EXPECT_EQ(of_pairs(rows, {100, 101, 600}), expected);
  }
  omp_set_num_threads(before);
}

TEST(NearestOfPairs, RowsThatDifferLessThanBf16TellsFindTheirNeighbours) {
  HostMatrix rows = random_matrix(900, 70, 43);
  const HostMatrix noise = random_matrix(900, 70, 44);
  for (int64_t r = 0; r < 900; ++r) {
    for (int64_t c = 0; c < 70; ++c) rows.at(r, c) = rows.at(r % 9, c) + 1e-4f * noise.at(r, c);
  }
  const HostMatrix units = unit(rows);
  EXPECT_EQ(of_pairs(units, {900}), among_themselves(units));
}

TEST(NearestOfPairs, WithNaNNeverWinAndDeepRowsArePackedInGroups) {
  HostMatrix rows = unit(random_matrix(290, 2901, 42));
  EXPECT_EQ(of_pairs(rows, {290}), among_themselves(rows));
  rows.at(5, 2) = std::numeric_limits<float>::quiet_NaN();
  const Neighbours broken = of_pairs(rows, {290});
  EXPECT_EQ(broken, among_themselves(rows));
  EXPECT_EQ(broken.indices[5], -1);
}

TEST(NearestNeighbour, IsTheSameForAnyNumberOfThreads) {
  const HostMatrix rows = unit(random_matrix(333, 30, 25));
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const Neighbours one = among_themselves(rows);
  omp_set_num_threads(3);
  EXPECT_EQ(among_themselves(rows), one);
  omp_set_num_threads(before);
}

// The mean of the largest of N cosines in R^n by exact integration is 0.0791, its deviation 0.0064 for one
// row.
TEST(NearestNeighbour, RandomRowsOfAChunkHaveTheExpectedMaximum) {
  constexpr int64_t kRows = 8192, kDepth = 2304, kQueries = 24;
  HostMatrix rows(kRows, kDepth);
  std::mt19937 generator(26);
  for (float& value : rows.values) {
    // A sum of two uniform numbers: many of them make a direction as even as normal ones do.
    value =
        static_cast<float>(static_cast<int32_t>(generator() >> 1) - static_cast<int32_t>(generator() >> 1));
  }
  const HostMatrix units = unit(rows);
  HostMatrix queries(kQueries, kDepth);
  std::copy_n(units.values.begin(), queries.values.size(), queries.values.begin());
  Neighbours found(kQueries);
  search(queries, units, 0, kRows, counting(kQueries), found);
  const double mean = std::accumulate(found.values.begin(), found.values.end(), 0.0) / kQueries;
  EXPECT_NEAR(mean, 0.0791, 4 * 0.0064 / std::sqrt(static_cast<double>(kQueries)));
}

TEST(UnitRows, HaveUnitNormAndTheNormsOfTheRows) {
  HostMatrix rows = random_matrix(5, 37, 27);
  for (int64_t i = 0; i < 37; ++i) {
    rows.at(2, i) = 0.0f;
    rows.at(3, i) *= 1e15f;
  }
  HostMatrix units(5, 37);
  std::vector<float> norms(5);
  Stream stream;
  kernels::unit_rows(std::as_const(rows).view(), units.view(), {norms.data(), {5}}, stream);
  for (int64_t r = 0; r < 5; ++r) {
    double squares = 0, unit_squares = 0;
    for (int64_t i = 0; i < 37; ++i) {
      squares += static_cast<double>(rows.at(r, i)) * rows.at(r, i);
      unit_squares += static_cast<double>(units.at(r, i)) * units.at(r, i);
    }
    EXPECT_NEAR(norms[static_cast<size_t>(r)], std::sqrt(squares), 1e-7 * std::sqrt(squares));
    EXPECT_NEAR(unit_squares, r == 2 ? 0.0 : 1.0, 1e-6);
  }
}

}  // namespace
}  // namespace orthant
