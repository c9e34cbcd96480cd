#include "sae/diffing/principal_components.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>

#include "runtime/core/rng.h"
#include "tests/support/code_of.h"

namespace orthant::sae {
namespace {

constexpr int64_t kRows = 900;
constexpr int64_t kBlockRows = 64;
// The second is wider than a panel, and no multiple of it.
const std::vector<int64_t> kWidths = {3, 70};

// Of planted axes: the row is 1000 in every coordinate plus, along axis a, a normal value of deviation
// 2^-a; the first axes are orthonormal.
double planted_axis(int64_t axis, int64_t coordinate, int64_t width) {
  // Of the cosine transform of type II.
  const double scale = std::sqrt((axis == 0 ? 1.0 : 2.0) / static_cast<double>(width));
  return scale * std::cos(M_PI * (static_cast<double>(coordinate) + 0.5) * static_cast<double>(axis) /
                          static_cast<double>(width));
}

std::vector<float> planted_rows(int64_t width) {
  std::vector<float> rows;
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t c = 0; c < width; ++c) {
      double value = 1000.0;
      for (int64_t axis = 0; axis < std::min<int64_t>(width, 6); ++axis) {
        const float draw =
            random_normal(4, Purpose::kTest, static_cast<uint32_t>(axis), static_cast<uint64_t>(r));
        value += draw * std::exp2(-static_cast<double>(axis)) * planted_axis(axis, c, width);
      }
      rows.push_back(static_cast<float>(value));
    }
  }
  return rows;
}

void add_all(Covariances& covariances, World& world, int64_t first_block, int64_t end_row) {
  std::vector<std::vector<float>> rows;
  for (const int64_t width : kWidths) rows.push_back(planted_rows(width));
  for (int64_t done = first_block * kBlockRows; done < end_row; done += kBlockRows * world.size()) {
    const int64_t begin = std::min(done + kBlockRows * world.rank(), end_row);
    const int64_t count = std::min(end_row - begin, kBlockRows);
    for (size_t place = 0; place < kWidths.size(); ++place) {
      covariances.add(place, {rows[place].data() + begin * kWidths[place], {count, kWidths[place]}});
    }
  }
}

// Mean and covariance by their definitions.
struct Moments {
  std::vector<double> mean;
  std::vector<std::vector<double>> covariance;
};
Moments moments_of(const std::vector<float>& rows, size_t width) {
  Moments found{std::vector<double>(width), std::vector(width, std::vector<double>(width))};
  const auto count = static_cast<double>(rows.size() / width);
  for (size_t i = 0; i < rows.size(); ++i) found.mean[i % width] += rows[i] / count;
  for (size_t r = 0; r < rows.size(); r += width) {
    for (size_t i = 0; i < width; ++i) {
      for (size_t j = 0; j < width; ++j) {
        found.covariance[i][j] +=
            (rows[r + i] - found.mean[i]) * (rows[r + j] - found.mean[j]) / (count - 1.0);
      }
    }
  }
  return found;
}

TEST(PrincipalComponents, DiagonaliseTheCovarianceOfEveryPlace) {
  World world = make_self_world();
  Covariances covariances(kWidths, *world.data);
  add_all(covariances, world, 0, kRows);
  const auto found = covariances.components(100, world);
  for (size_t place = 0; place < kWidths.size(); ++place) {
    const auto width = static_cast<size_t>(kWidths[place]);
    const Moments wanted = moments_of(planted_rows(kWidths[place]), width);
    EXPECT_EQ(found[place].rows, kRows);
    ASSERT_EQ(found[place].components.size(), width * width);
    double trace = 0.0;
    for (size_t c = 0; c < width; ++c) {
      EXPECT_NEAR(found[place].mean[c], wanted.mean[c], 1e-9);
      trace += wanted.covariance[c][c];
    }
    EXPECT_NEAR(found[place].total_variance(), trace, 1e-9 * trace);
    for (size_t k = 0; k < width; ++k) {
      // Axes are f32: |C v - lambda v| is of the order of their rounding times the largest eigenvalue.
      const float* const axis = found[place].components.data() + k * width;
      for (size_t i = 0; i < width; ++i) {
        double product = 0.0;
        for (size_t j = 0; j < width; ++j) product += wanted.covariance[i][j] * axis[j];
        EXPECT_NEAR(product, found[place].variance[k] * axis[i], 1e-6 * found[place].variance[0] * 10);
      }
      EXPECT_GE(k == 0 ? found[place].variance[0] : found[place].variance[k - 1], found[place].variance[k]);
    }
  }
}

TEST(PrincipalComponents, FindPlantedAxesWithAPositiveLargestCoordinate) {
  World world = make_self_world();
  Covariances covariances(kWidths, *world.data);
  add_all(covariances, world, 0, kRows);
  const auto found = covariances.components(4, world);
  const int64_t width = kWidths[1];
  ASSERT_EQ(found[1].components.size(), static_cast<size_t>(4 * width));
  for (int64_t k = 0; k < 4; ++k) {
    const float* const axis = found[1].components.data() + k * width;
    double product = 0.0;
    for (int64_t c = 0; c < width; ++c) product += axis[c] * planted_axis(k, c, width);
    // Variances are a factor of 4 apart; of 900 rows axes mix by about sqrt(1/900).
    EXPECT_GT(std::abs(product), 0.99) << k;
    const float* const largest =
        std::max_element(axis, axis + width, [](float a, float b) { return std::abs(a) < std::abs(b); });
    EXPECT_GT(*largest, 0.0f);
    const double wanted = std::exp2(-2.0 * static_cast<double>(k));
    EXPECT_NEAR(found[1].variance[static_cast<size_t>(k)], wanted, 0.2 * wanted);
  }
  EXPECT_NEAR(found[1].share_of_first(1), 0.75, 0.05);
  EXPECT_NEAR(found[1].share_of_first(6), 1.0, 1e-4) << "what f32 rounds off 1000 has little variance";
  EXPECT_EQ(found[1].share_of_first(1000), found[1].share_of_first(width));
}

TEST(PrincipalComponents, HaveTheSameBitsAtAnyNumberOfRanksAndGoOnFromTheirState) {
  std::vector<PrincipalComponents> wanted;
  run_thread_ranks(1, [&](World world) {
    Covariances covariances(kWidths, *world.data);
    add_all(covariances, world, 0, kRows);
    wanted = covariances.components(5, world);
  });
  for (const int ranks : {2, 3, 4}) {
    // Half on `ranks` ranks; the state by name and row; the rest on one.
    std::mutex mutex;
    std::map<std::string, std::vector<std::byte>> saved;
    run_thread_ranks(ranks, [&](World world) {
      Covariances covariances(kWidths, *world.data);
      add_all(covariances, world, 0, 8 * kBlockRows);
      {
        const std::lock_guard lock(mutex);
        for (const TensorSlice& slice : covariances.state()) {
          int64_t row_bytes = bytes_of(slice.dtype);
          for (size_t i = 1; i < slice.shape.size(); ++i) row_bytes *= slice.shape[i];
          auto& bytes = saved[slice.name];
          bytes.resize(static_cast<size_t>(slice.shape[0] * row_bytes));
          if (!slice.writes) continue;
          const auto* const data = static_cast<const std::byte*>(slice.data);
          std::copy_n(data, slice.rows * row_bytes, bytes.begin() + slice.first_row * row_bytes);
        }
      }
      add_all(covariances, world, 8, kRows);
      const auto found = covariances.components(5, world);
      for (size_t place = 0; place < kWidths.size(); ++place) {
        EXPECT_EQ(found[place].variance, wanted[place].variance) << ranks;
        EXPECT_EQ(found[place].components, wanted[place].components) << ranks;
        EXPECT_EQ(found[place].mean, wanted[place].mean) << ranks;
      }
    });
    run_thread_ranks(1, [&](World world) {
      Covariances covariances(kWidths, *world.data);
      for (const TensorSlice& slice : covariances.state()) {
        const auto& bytes = saved.at(slice.name);
        std::copy(bytes.begin(), bytes.end(), static_cast<std::byte*>(slice.data));
      }
      add_all(covariances, world, 8, kRows);
      const auto found = covariances.components(5, world);
      for (size_t place = 0; place < kWidths.size(); ++place) {
        EXPECT_EQ(found[place].variance, wanted[place].variance) << ranks;
      }
    });
  }
}

TEST(PrincipalComponents, OfOneRowOrNoneHaveNoVariance) {
  for (const int64_t rows : {0, 1}) {
    World world = make_self_world();
    Covariances covariances({3}, *world.data);
    const std::vector<float> row = {1.0f, 2.0f, 3.0f};
    covariances.add(0, {row.data(), {rows, 3}});
    const PrincipalComponents found = covariances.components(2, world).front();
    EXPECT_EQ(found.rows, rows);
    EXPECT_EQ(found.total_variance(), 0.0);
    EXPECT_EQ(found.share_of_first(1), 0.0);
    EXPECT_EQ(found.effective_dimension(), 0.0);
    EXPECT_EQ(found.mean[2], rows == 0 ? 0.0 : 3.0);
  }
}

TEST(PrincipalComponents, EffectiveDimensionCountsEqualVariances) {
  PrincipalComponents found;
  found.variance = {2.0, 2.0, 2.0, 0.0};
  EXPECT_DOUBLE_EQ(found.effective_dimension(), 3.0);
  EXPECT_DOUBLE_EQ(found.share_of_first(2), 2.0 / 3.0);
}

TEST(PrincipalComponents, RefuseRowsThatAreNotFinite) {
  const auto decompose = [] {
    run_thread_ranks(2, [](World world) {
      Covariances covariances({3}, *world.data);
      const std::vector<float> row = {1.0f, std::numeric_limits<float>::infinity(), 3.0f};
      covariances.add(0, {row.data(), {1, 3}});
      (void)covariances.components(2, world);
    });
  };
  EXPECT_EQ(testing::code_of(decompose), ExitCode::kNonFinite);
}

}  // namespace
}  // namespace orthant::sae
