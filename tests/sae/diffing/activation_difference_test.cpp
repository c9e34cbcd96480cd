#include "sae/diffing/activation_difference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "runtime/comm/world.h"
#include "runtime/core/rng.h"
#include "tests/support/code_of.h"

namespace orthant::sae {
namespace {

constexpr int64_t kRows = 57;
constexpr int64_t kBlockRows = 10;
constexpr int kBins = 8;
const std::vector<int64_t> kWidths = {5, 12};

// Rows of one side of a place.
std::vector<float> rows_of(size_t place, uint32_t side) {
  std::vector<float> rows;
  const int64_t width = kWidths[place];
  for (int64_t i = 0; i < kRows * width; ++i) {
    const auto draw = [&](uint32_t s) {
      return random_normal(7 + place, Purpose::kTest, s, static_cast<uint64_t>(i));
    };
    const double shared = 4.0 + draw(0);
    rows.push_back(static_cast<float>(side == 0 ? shared : 1.5 * shared + 0.3 * draw(1)));
  }
  // A row of zeros on one side, which has no cosine.
  if (side == 0) std::fill_n(rows.begin() + 3 * width, width, 0.0f);
  return rows;
}

bool counts(int64_t row) {
  return row % 5 != 1;
}

// All rows in blocks over the ranks of the world.
std::vector<ActivationDifference> measured(World& world) {
  ActivationDifferenceSums sums(kWidths, kBins, world.rank());
  std::vector<std::vector<float>> first, other;
  for (size_t place = 0; place < kWidths.size(); ++place) {
    first.push_back(rows_of(place, 0));
    other.push_back(rows_of(place, 1));
  }
  for (int64_t done = 0; done < kRows; done += kBlockRows * world.size()) {
    const int64_t begin = done + kBlockRows * world.rank();
    const int64_t count = std::clamp<int64_t>(kRows - begin, 0, kBlockRows);
    if (count > 0) {
      std::vector<Matrix<const float>> x, y;
      std::vector<int64_t> counted;
      for (size_t place = 0; place < kWidths.size(); ++place) {
        x.push_back({first[place].data() + begin * kWidths[place], {count, kWidths[place]}});
        y.push_back({other[place].data() + begin * kWidths[place], {count, kWidths[place]}});
      }
      for (int64_t r = 0; r < count; ++r) {
        if (counts(begin + r)) counted.push_back(r);
      }
      sums.take(x, y, counted);
    }
    sums.add(*world.data);
  }
  return {sums.difference(0), sums.difference(1)};
}

// By the definitions, in long double, with means known beforehand.
ActivationDifference reference(size_t place) {
  const std::vector<float> x = rows_of(place, 0), y = rows_of(place, 1);
  const auto width = static_cast<size_t>(kWidths[place]);
  std::vector<long double> mean_x(width), mean_y(width);
  long double rows = 0;
  for (int64_t r = 0; r < kRows; ++r) rows += counts(r) ? 1 : 0;
  const auto at = [&](const std::vector<float>& v, int64_t r, size_t c) {
    return static_cast<long double>(v[static_cast<size_t>(r) * width + c]);
  };
  for (int64_t r = 0; r < kRows; ++r) {
    for (size_t c = 0; c < width && counts(r); ++c) {
      mean_x[c] += at(x, r, c) / rows;
      mean_y[c] += at(y, r, c) / rows;
    }
  }
  long double norm = 0, other_norm = 0, difference = 0, relative = 0, ratio = 0, cosine = 0, nonzero = 0;
  long double error = 0, variance = 0, other_variance = 0, product = 0, shift = 0;
  for (int64_t r = 0; r < kRows; ++r) {
    if (!counts(r)) continue;
    long double xx = 0, yy = 0, xy = 0, dd = 0;
    for (size_t c = 0; c < width; ++c) {
      const long double a = at(x, r, c), b = at(y, r, c);
      xx += a * a;
      yy += b * b;
      xy += a * b;
      dd += (b - a) * (b - a);
      variance += (a - mean_x[c]) * (a - mean_x[c]);
      other_variance += (b - mean_y[c]) * (b - mean_y[c]);
      product += (a - mean_x[c]) * (b - mean_y[c]);
    }
    error += dd;
    norm += std::sqrt(xx) / rows;
    other_norm += std::sqrt(yy) / rows;
    difference += std::sqrt(dd) / rows;
    if (xx == 0) continue;
    nonzero += 1;
    relative += std::sqrt(dd / xx);
    ratio += std::sqrt(yy / xx);
    cosine += xy / std::sqrt(xx * yy);
  }
  for (size_t c = 0; c < width; ++c) shift += (mean_y[c] - mean_x[c]) * (mean_y[c] - mean_x[c]);
  return {.rows = static_cast<int64_t>(rows),
          .norm = static_cast<double>(norm),
          .other_norm = static_cast<double>(other_norm),
          .difference_norm = static_cast<double>(difference),
          .relative_difference = static_cast<double>(relative / nonzero),
          .norm_ratio = static_cast<double>(ratio / nonzero),
          .cosine = static_cast<double>(cosine / nonzero),
          .explained_of_other = static_cast<double>(1 - error / other_variance),
          .explained_of_first = static_cast<double>(1 - error / variance),
          .correlation = static_cast<double>(product / std::sqrt(variance * other_variance)),
          .mean_shift = static_cast<double>(std::sqrt(shift))};
}

using Measure = double ActivationDifference::*;
const std::vector<Measure> kMeasures = {&ActivationDifference::norm,
                                        &ActivationDifference::other_norm,
                                        &ActivationDifference::difference_norm,
                                        &ActivationDifference::relative_difference,
                                        &ActivationDifference::norm_ratio,
                                        &ActivationDifference::cosine,
                                        &ActivationDifference::explained_of_other,
                                        &ActivationDifference::explained_of_first,
                                        &ActivationDifference::correlation,
                                        &ActivationDifference::mean_shift};

TEST(ActivationDifference, IsThatOfItsDefinitions) {
  World world = make_self_world();
  const std::vector<ActivationDifference> found = measured(world);
  for (size_t place = 0; place < kWidths.size(); ++place) {
    const ActivationDifference wanted = reference(place);
    EXPECT_EQ(found[place].rows, wanted.rows);
    for (size_t m = 0; m < kMeasures.size(); ++m) {
      const double value = wanted.*kMeasures[m];
      // f64 sums of some hundred terms, and variances that lose a factor of 20 to the mean.
      EXPECT_NEAR(found[place].*kMeasures[m], value, 1e-11 * std::max(1.0, std::abs(value))) << m;
    }
    const auto& bins = found[place].cosines.counts;
    EXPECT_EQ(std::accumulate(bins.begin(), bins.end(), int64_t{0}), wanted.rows - 1)
        << "every row but that of zeros";
    EXPECT_EQ(bins.back(), wanted.rows - 1) << "all cosines are near 1";
  }
}

TEST(ActivationDifference, HasTheSameBitsAtAnyNumberOfRanks) {
  World self = make_self_world();
  const std::vector<ActivationDifference> wanted = measured(self);
  for (const int ranks : {2, 3, 4}) {
    run_thread_ranks(ranks, [&](World world) {
      const std::vector<ActivationDifference> found = measured(world);
      for (size_t place = 0; place < kWidths.size(); ++place) {
        for (const Measure measure : kMeasures) EXPECT_EQ(found[place].*measure, wanted[place].*measure);
        EXPECT_EQ(found[place].cosines.counts, wanted[place].cosines.counts);
      }
    });
  }
}

TEST(ActivationDifference, OfEqualRowsIsNone) {
  World world = make_self_world();
  ActivationDifferenceSums sums({5}, kBins, 0);
  const std::vector<float> rows = rows_of(0, 1);
  const Matrix<const float> x{rows.data(), {kRows, 5}};
  std::vector<int64_t> counted(kRows);
  std::iota(counted.begin(), counted.end(), 0);
  sums.take({&x, 1}, {&x, 1}, counted);
  sums.add(*world.data);
  const ActivationDifference found = sums.difference(0);
  EXPECT_EQ(found.difference_norm, 0.0);
  EXPECT_EQ(found.explained_of_other, 1.0);
  EXPECT_NEAR(found.cosine, 1.0, 1e-15);
  EXPECT_NEAR(found.correlation, 1.0, 1e-12);
  EXPECT_EQ(found.mean_shift, 0.0);
}

TEST(ActivationDifference, RefusesRowsThatAreNotFinite) {
  World world = make_self_world();
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    ActivationDifferenceSums sums({5}, kBins, 0);
    std::vector<float> rows = rows_of(0, 1);
    rows[7] = bad;
    const Matrix<const float> x{rows.data(), {kRows, 5}};
    const std::vector<int64_t> counted = {0, 1, 2};
    sums.take({&x, 1}, {&x, 1}, counted);
    sums.add(*world.data);
    EXPECT_EQ(testing::code_of([&] { (void)sums.difference(0); }), ExitCode::kNonFinite);
  }
}

TEST(ActivationDifference, OfNoRowsIsNothing) {
  ActivationDifferenceSums sums({5}, kBins, 0);
  const ActivationDifference found = sums.difference(0);
  EXPECT_EQ(found.rows, 0);
  EXPECT_EQ(found.cosine, 0.0);
  EXPECT_EQ(found.explained_of_other, 0.0);
}

}  // namespace
}  // namespace orthant::sae
