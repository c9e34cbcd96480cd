#include "models/adapt/low_rank_start.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "tests/support/pruned_block.h"

namespace orthant {
namespace {

using models::LearnedBlock;
using models::LowRankStart;
using models::Projection;

class LowRankStartTest : public ::testing::Test {
 protected:
  LearnedBlock start(LowRankStart how, int64_t rank, uint64_t seed = 1) {
    LearnedBlock block = models::zero_parameters(model.config(), {.rank = rank}, pruning.blocks[0]);
    models::start_low_rank(how, weights.blocks[0], 0, rank, seed, block);
    return block;
  }
  // |W - A B|^2.
  double distance(const LearnedBlock& block, Projection projection, int64_t rank) {
    const auto [outputs, inputs] = models::shape_of(model.config(), projection);
    const auto& w = model.at(models::weight_name(0, projection)).values;
    const models::LearnedProjection& own = block[static_cast<size_t>(projection)];
    double sum = 0.0;
    for (int64_t o = 0; o < outputs; ++o) {
      for (int64_t k = 0; k < inputs; ++k) {
        double product = w[static_cast<size_t>(o * inputs + k)];
        for (int64_t r = 0; r < rank; ++r) {
          product -= static_cast<double>(own.low_rank_out[static_cast<size_t>(o * rank + r)]) *
                     own.low_rank_in[static_cast<size_t>(r * inputs + k)];
        }
        sum += product * product;
      }
    }
    return sum;
  }
  Memory memory;
  Stream stream;
  testing::MemoryModel model{testing::varied_config()};
  models::ModelPruning pruning = testing::magnitude_pruning(model.config(), {2, 4}, false);
  models::Weights weights = models::load_weights(model, {}, memory, stream);
};

TEST_F(LowRankStartTest, OfFullRankIsTheWeights) {
  const LearnedBlock block = start(LowRankStart::kSvd, 12);  // the least width: of keys and values
  EXPECT_NEAR(distance(block, Projection::kKey, 12), 0.0, 1e-9);
}

TEST_F(LowRankStartTest, LosesTheSmallestValuesAndSharesTheRoots) {
  for (const Projection projection :
       {Projection::kQuery, Projection::kKey, Projection::kGate, Projection::kDown}) {
    double before = distance(start(LowRankStart::kSvd, 1), projection, 1);
    for (int64_t rank = 2; rank <= 12; ++rank) {
      const LearnedBlock block = start(LowRankStart::kSvd, rank);
      const double after = distance(block, projection, rank);
      // One more value s: |W - A B|^2 falls by s^2, and column r of A and row r of B both have the square
      // norm s_r.
      double in = 0.0, out = 0.0;
      const models::LearnedProjection& own = block[static_cast<size_t>(projection)];
      const auto [outputs, inputs] = models::shape_of(model.config(), projection);
      for (int64_t k = 0; k < inputs; ++k)
        in += std::pow(own.low_rank_in[static_cast<size_t>((rank - 1) * inputs + k)], 2);
      for (int64_t o = 0; o < outputs; ++o) {
        out += std::pow(own.low_rank_out[static_cast<size_t>(o * rank + rank - 1)], 2);
      }
      EXPECT_NEAR(in, out, 1e-5 * in);
      EXPECT_NEAR(before - after, in * in, 1e-4 * before);
      before = after;
    }
  }
}

TEST_F(LowRankStartTest, DrawsNormalNumbersByTheSeed) {
  const LearnedBlock block = start(LowRankStart::kRandom, 8);
  double squares = 0.0, count = 0.0;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    for (const models::LearnedProjection& own : start(LowRankStart::kRandom, 8, seed)) {
      for (const float value : own.low_rank_in) squares += static_cast<double>(value) * value, count += 1.0;
    }
  }
  // The root of a mean of n squares has a deviation of 0.02 / sqrt(2 n), here 0.00014.
  EXPECT_NEAR(std::sqrt(squares / count), 0.02, 0.0006);
  EXPECT_EQ(start(LowRankStart::kRandom, 8)[3].low_rank_out, block[3].low_rank_out);
  EXPECT_NE(start(LowRankStart::kRandom, 8, 2)[3].low_rank_out, block[3].low_rank_out);
  EXPECT_NE(block[1].low_rank_out, block[2].low_rank_out);
}

TEST_F(LowRankStartTest, GivesTheSameBitsOnAnyThreads) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const LearnedBlock one = start(LowRankStart::kSvd, 5);
  omp_set_num_threads(3);
  const LearnedBlock three = start(LowRankStart::kSvd, 5);
  omp_set_num_threads(before);
  for (size_t p = 0; p < one.size(); ++p) {
    EXPECT_EQ(one[p].low_rank_in, three[p].low_rank_in);
    EXPECT_EQ(one[p].low_rank_out, three[p].low_rank_out);
  }
}

TEST_F(LowRankStartTest, RefusesARankAboveThatOfTheWeights) {
  EXPECT_THROW((void)start(LowRankStart::kSvd, 13), Error);
}

}  // namespace
}  // namespace orthant
