#include "sae/diffing/nearest_latents.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/comm/self.h"
#include "runtime/comm/world.h"
#include "runtime/core/rng.h"
#include "sae/dictionary/reconstruction.h"
#include "tests/support/random_dictionary.h"

namespace orthant::sae {
namespace {

constexpr int64_t kWidth = 32;
constexpr int64_t kLatents = 90;

Dictionary dictionary(Share slice, Memory& memory) {
  Conventions c;
  c.architecture = Architecture::kTopK;
  c.latents = kLatents;
  c.k = 3;
  Dictionary d = allocate_dictionary(c, kWidth, slice, memory);
  for (int64_t i = 0; i < slice.count; ++i) {
    for (int64_t j = 0; j < kWidth; ++j) {
      const auto element = static_cast<uint64_t>((slice.first + i) * kWidth + j);
      d.decoder.view().row(i)[j] =
          random_normal(4, Purpose::kTest, 0, element) * static_cast<float>(1 + i % 3);
    }
  }
  return d;
}

double norm(const float* row) {
  double squares = 0.0;
  for (int64_t j = 0; j < kWidth; ++j) squares += static_cast<double>(row[j]) * row[j];
  return std::sqrt(squares);
}

// The unit row turned by `angle` towards a direction orthogonal to it.
void turn(float* row, double angle, uint64_t seed) {
  std::vector<double> other(kWidth);
  double along = 0.0, squares = 0.0;
  const double length = norm(row);
  for (int64_t j = 0; j < kWidth; ++j) {
    other[static_cast<size_t>(j)] = random_normal(seed, Purpose::kTest, 1, static_cast<uint64_t>(j));
    along += other[static_cast<size_t>(j)] * row[j] / length;
  }
  for (int64_t j = 0; j < kWidth; ++j) {
    other[static_cast<size_t>(j)] -= along * row[j] / length;
    squares += other[static_cast<size_t>(j)] * other[static_cast<size_t>(j)];
  }
  for (int64_t j = 0; j < kWidth; ++j) {
    row[j] = static_cast<float>(std::cos(angle) * row[j] / length +
                                std::sin(angle) * other[static_cast<size_t>(j)] / std::sqrt(squares));
  }
}

TEST(NearestLatents, FindPermutedRowsTurnedByKnownAnglesAtEverySharding) {
  Memory memory;
  const Dictionary whole = dictionary({0, kLatents}, memory);
  const int64_t count = 40;
  Tensor<float, 2> directions(memory, "test", {count, kWidth});
  std::vector<double> angles;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t from = i * 37 % kLatents;
    std::copy_n(whole.decoder.view().row(from), kWidth, directions.view().row(i));
    angles.push_back(0.01 * static_cast<double>(i));  // up to 23 degrees
    turn(directions.view().row(i), angles.back(), static_cast<uint64_t>(i) + 9);
  }
  for (const int shards : {1, 2, 3}) {
    run_thread_ranks(shards, [&](World world) {
      Memory own_memory;
      const Dictionary own = dictionary(latent_slice(kLatents, shards, world.rank(), 0), own_memory);
      const NearestLatents found = nearest_latents(directions.view(), own, *world.data);
      for (int64_t i = 0; i < count; ++i) {
        const auto at = static_cast<size_t>(i);
        EXPECT_EQ(found.latent[at], i * 37 % kLatents) << i;
        EXPECT_NEAR(found.cosine[at], std::cos(angles[at]), 1e-5);
      }
    });
  }
}

TEST(NearestLatents, SameLatentCosinesAreThoseOfKnownTurns) {
  for (const int shards : {1, 3}) {
    run_thread_ranks(shards, [&](World world) {
      Memory memory;
      const Share slice = latent_slice(kLatents, shards, world.rank(), 0);
      const Dictionary a = dictionary(slice, memory);
      Dictionary b = dictionary(slice, memory);
      for (int64_t i = 0; i < slice.count; ++i) {
        turn(b.decoder.view().row(i), 0.02 * static_cast<double>(slice.first + i), 3);
      }
      const std::vector<float> cosines = same_latent_cosines(a, b, *world.data, 0);
      ASSERT_EQ(cosines.size(), static_cast<size_t>(kLatents));
      for (int64_t i = 0; i < kLatents; ++i) {
        EXPECT_NEAR(cosines[static_cast<size_t>(i)], std::cos(0.02 * static_cast<double>(i)), 1e-5);
      }
    });
  }
}

// Specification of ReasonScore, section 11.3: 0.067 for 65,536 directions in 4096 dimensions.
TEST(ChanceLargestCosine, IsThePublishedOne) {
  EXPECT_NEAR(chance_largest_cosine(4096, 65536), 0.067, 0.0005);
  EXPECT_NEAR(chance_largest_cosine(64, 1), 0.0, 1e-3);
  EXPECT_EQ(chance_largest_cosine(1, 5), 1.0);
}

TEST(ChanceLargestCosine, IsWhatRandomDirectionsHave) {
  Memory memory;
  const Dictionary d = dictionary({0, kLatents}, memory);
  const int64_t count = 2000;
  Tensor<float, 2> directions(memory, "test", {count, kWidth});
  for (int64_t i = 0; i < count; ++i) {
    float* const row = directions.view().row(i);
    for (int64_t j = 0; j < kWidth; ++j) {
      row[j] = random_normal(8, Purpose::kTest, 2, static_cast<uint64_t>(i * kWidth + j));
    }
    const auto length = static_cast<float>(norm(row));
    for (int64_t j = 0; j < kWidth; ++j) row[j] /= length;
  }
  const auto self = make_self_communicator();
  const NearestLatents found = nearest_latents(directions.view(), d, *self);
  double mean = 0.0;
  for (const float cosine : found.cosine) mean += cosine / static_cast<double>(count);
  // The largest of 90 cosines in 32 dimensions spreads by about 0.06; 2,000 of them.
  EXPECT_NEAR(mean, chance_largest_cosine(kWidth, kLatents), 5 * 0.06 / std::sqrt(2000.0));
}

}  // namespace
}  // namespace orthant::sae
