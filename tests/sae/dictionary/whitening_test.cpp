#include "sae/dictionary/whitening.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <mutex>
#include <vector>

#include "runtime/comm/world.h"
#include "runtime/core/rng.h"
#include "sae/dictionary/input_scaling.h"
#include "tests/support/code_of.h"
#include "tests/support/matrix_source.h"

namespace orthant::sae {
namespace {

using testing::MatrixSource;

constexpr int64_t kWidth = 7;
constexpr int64_t kRows = 2500;  // more than two blocks, not a multiple of them

// Coordinates of very different size that hang together; the last one repeats the first where `is_flat`.
std::vector<float> correlated_rows(bool is_flat = false) {
  std::vector<float> rows;
  for (int64_t r = 0; r < kRows; ++r) {
    const auto draw = [&](int64_t c) {
      return random_normal(21, Purpose::kTest, 0, static_cast<uint64_t>(r * kWidth + c));
    };
    for (int64_t c = 0; c < kWidth; ++c) {
      const double scale = std::exp2(static_cast<double>(c));
      rows.push_back(static_cast<float>(3.0 * static_cast<double>(c) + scale * (draw(c) + 0.7 * draw(0))));
    }
    if (is_flat) rows.back() = rows[rows.size() - kWidth];
  }
  return rows;
}

// A dictionary with the whitening of the rows, and nothing else of interest.
Dictionary whitening_dictionary(MatrixSource& source, World& world, Memory& memory) {
  Conventions conventions;
  conventions.input_scaling = InputScaling::kWhiten;
  conventions.latents = 3;
  conventions.k = 1;
  Dictionary d = allocate_dictionary(conventions, kWidth, {0, 3}, memory);
  find_whitening(source, 100000, *world.data, d.whitening);
  return d;
}

struct Moments {
  std::vector<double> mean;
  std::vector<std::vector<double>> covariance;
};

Moments moments_of(Matrix<const float> x) {
  const auto width = static_cast<size_t>(x.shape[1]);
  Moments found{std::vector<double>(width), std::vector(width, std::vector<double>(width))};
  for (int64_t r = 0; r < x.shape[0]; ++r) {
    for (size_t c = 0; c < width; ++c) found.mean[c] += x.row(r)[c] / static_cast<double>(x.shape[0]);
  }
  for (int64_t r = 0; r < x.shape[0]; ++r) {
    for (size_t i = 0; i < width; ++i) {
      for (size_t j = 0; j < width; ++j) {
        found.covariance[i][j] += (x.row(r)[i] - found.mean[i]) * (x.row(r)[j] - found.mean[j]) /
                                  static_cast<double>(x.shape[0] - 1);
      }
    }
  }
  return found;
}

TEST(Whitening, GivesCoordinatesOfMeanZeroAndTheIdentityAsCovariance) {
  run_thread_ranks(1, [](World world) {
    Memory memory;
    Stream stream;
    MatrixSource source(correlated_rows(), kWidth);
    const Dictionary d = whitening_dictionary(source, world, memory);
    std::vector<float> rows = correlated_rows();
    const Matrix<float> x{rows.data(), {kRows, kWidth}};
    InputScaler scaler(memory, "test", d, kRows);
    scaler.prepare(stream);
    scaler.scale(x, stream);
    const Moments found = moments_of(x);
    for (size_t i = 0; i < kWidth; ++i) {
      EXPECT_NEAR(found.mean[i], 0.0, 1e-4) << i;
      const double spread = d.whitening.spread.data()[i];
      for (size_t j = 0; j < kWidth; ++j) {
        const double wanted = i == j ? 1.0 - 1e-3 / (spread * spread) : 0.0;
        EXPECT_NEAR(found.covariance[i][j], wanted, 1e-4) << i << " " << j;
      }
      EXPECT_LE(spread, d.whitening.spread.data()[i == 0 ? 0 : i - 1]);
    }
    scaler.unscale(x, stream);
    const std::vector<float> raw = correlated_rows();
    for (size_t i = 0; i < rows.size(); ++i) EXPECT_NEAR(rows[i], raw[i], 1e-3) << i;
  });
}

TEST(Whitening, IsTheSameAtAnyNumberOfRanks) {
  std::mutex mutex;
  std::vector<std::vector<float>> all;
  for (const int ranks : {1, 2, 3, 9}) {
    run_thread_ranks(ranks, [&](World world) {
      Memory memory;
      MatrixSource source(correlated_rows(), kWidth);
      const Dictionary d = whitening_dictionary(source, world, memory);
      const std::span<const float> axes = d.whitening.axes.view().span();
      const std::lock_guard lock(mutex);
      all.emplace_back(axes.begin(), axes.end());
    });
  }
  ASSERT_EQ(all.size(), 15u);
  for (const std::vector<float>& axes : all) EXPECT_EQ(axes, all.front());
}

TEST(Whitening, BearsDirectionsWithoutVariance) {
  run_thread_ranks(1, [](World world) {
    Memory memory;
    MatrixSource source(correlated_rows(true), kWidth);
    const Dictionary d = whitening_dictionary(source, world, memory);
    EXPECT_NEAR(d.whitening.spread.data()[kWidth - 1], std::sqrt(1e-3), 1e-3);
    for (const float value : d.whitening.axes.view().span()) EXPECT_TRUE(std::isfinite(value));
  });
}

TEST(Whitening, RefusesActivationsThatAreNotFinite) {
  std::vector<float> rows = correlated_rows();
  rows[1234] = std::numeric_limits<float>::quiet_NaN();
  const auto find = [&] {
    run_thread_ranks(2, [&](World world) {
      Memory memory;
      MatrixSource source(rows, kWidth);
      (void)whitening_dictionary(source, world, memory);
    });
  };
  EXPECT_EQ(testing::code_of(find), ExitCode::kNonFinite);
}

}  // namespace
}  // namespace orthant::sae
