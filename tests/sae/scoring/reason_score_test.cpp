#include "sae/scoring/reason_score.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace orthant::sae {
namespace {

// Sums of given tokens over the sets of tokens of a golden case: groups, near, far.
struct Case {
  std::vector<std::vector<int>> sets;
  std::vector<std::vector<double>> activations;  // [latents][tokens]

  [[nodiscard]] ReasonScores scores(double alpha = 0.7) const {
    std::vector<double> sums;
    std::vector<int64_t> counts;
    for (const auto& set : sets) {
      counts.push_back(static_cast<int64_t>(set.size()));
      for (const auto& latent : activations) {
        double sum = 0.0;
        for (const int t : set) sum += latent[static_cast<size_t>(t)];
        sums.push_back(sum);
      }
    }
    return reason_scores({.groups = static_cast<int64_t>(sets.size()) - 2,
                          .latents = static_cast<int64_t>(activations.size()),
                          .sums = sums,
                          .counts = counts},
                         {.alpha = alpha});
  }
};

// Specification, section 6.1: F0[t] = 0.1 t, F1 = 1 at 2 and 3, F2 = 0.5.
std::vector<std::vector<double>> golden_activations() {
  std::vector<std::vector<double>> f(3, std::vector<double>(16, 0.0));
  for (size_t t = 0; t < 16; ++t) {
    f[0][t] = 0.1 * static_cast<double>(t);
    f[2][t] = 0.5;
  }
  f[1][2] = f[1][3] = 1.0;
  return f;
}

TEST(ReasonScore, GoldenCaseOneTwo) {
  const Case golden{
      {{1, 2, 3, 4, 13, 14, 15}, {6, 7, 8, 9, 10}, {1, 2, 3, 4, 6, 7, 8, 9, 10, 13, 14, 15}, {5, 11, 12}},
      golden_activations()};
  const ReasonScores found = golden.scores();
  EXPECT_NEAR(found.entropy[0], 0.999010271, 5e-10);
  EXPECT_NEAR(found.score[0], -0.116649698, 5e-10);
  EXPECT_LT(std::abs(found.score[1]), 1e-8);
  EXPECT_NEAR(found.entropy[2], 1.0, 1e-11);
  EXPECT_NEAR(found.score[2], 0.0, 1e-10);
}

TEST(ReasonScore, GoldenCaseZeroOne) {
  const Case golden{{{2, 3, 14, 15}, {7, 8, 9}, {2, 3, 7, 8, 9, 14, 15}, {1, 4, 5, 6, 10, 11, 12, 13}},
                    golden_activations()};
  const ReasonScores found = golden.scores();
  EXPECT_NEAR(found.entropy[0], 0.999337504, 5e-10);
  EXPECT_NEAR(found.score[0], -0.094806854, 5e-10);
  EXPECT_LT(std::abs(found.score[1]), 1e-8);
  EXPECT_NEAR(found.score[2], -0.082422349, 5e-10);
}

TEST(ReasonScore, OneGroupHasFullEntropyAndAGroupThatNeverOccursStillCounts) {
  const Case one{{{0, 1}, {0, 1}, {2}}, {{1.0, 1.0, 0.0}, {0.0, 0.0, 1.0}}};
  EXPECT_EQ(one.scores().entropy[0], 1.0);
  EXPECT_NEAR(one.scores().score[0], 1.0, 1e-9);
  EXPECT_NEAR(one.scores().score[1], -1.0, 1e-9);
  const Case absent{{{0}, {1}, {}, {0, 1}, {2}}, {{1.0, 1.0, 0.0}}};
  EXPECT_NEAR(absent.scores().entropy[0], std::log(2.0) / std::log(3.0), 1e-9);
}

TEST(ReasonScore, DifferencesAreScoresWithoutEntropy) {
  const Case skewed{{{0}, {1}, {0, 1}, {2}}, {{1.0, 0.0, 0.5}, {1.0, 2.0, 0.5}}};
  const ReasonScores with = skewed.scores();
  const ReasonScores without = skewed.scores(0.0);
  EXPECT_LT(with.score[0], without.score[0]);
  const std::vector<double> sums = {1.0, 1.0, 0.0, 2.0, 1.0, 3.0, 0.5, 0.5};
  const std::vector<int64_t> counts = {1, 1, 2, 1};
  const auto differences = score_differences({.groups = 2, .latents = 2, .sums = sums, .counts = counts});
  EXPECT_NEAR(differences[0], 0.25 - 0.5, 1e-11);
  EXPECT_NEAR(differences[1], 0.75 - 0.5, 1e-11);
}

TEST(ReasonScore, LatentsThatNeverFireScoreZero) {
  const Case silent{{{0}, {1}, {0, 1}, {2}}, {{0.0, 0.0, 0.0}, {1.0, 1.0, 1.0}}};
  EXPECT_EQ(silent.scores().score[0], 0.0);
}

TEST(BestLatents, FallByScoreWithTiesToTheLowest) {
  const std::vector<double> scores = {0.1, 0.5, -1.0, 0.5, 0.3};
  EXPECT_EQ(best_latents(scores, 3, 0.0), (std::vector<int64_t>{1, 3, 4}));
  EXPECT_EQ(best_latents(scores, 99, 0.0).size(), 5u);
  EXPECT_TRUE(best_latents({}, 0, 0.9).empty());
}

TEST(BestLatents, QuantileIsLinearBetweenNeighbours) {
  std::vector<double> scores;
  for (int i = 0; i < 1000; ++i) scores.push_back((i * 37) % 1000);  // 0..999, each once
  // The 0.997 quantile is 996.003: 997, 998 and 999 lie above.
  const auto best = best_latents(scores, 0, 0.997);
  ASSERT_EQ(best.size(), 3u);
  EXPECT_EQ(scores[static_cast<size_t>(best[0])], 999.0);
  EXPECT_EQ(scores[static_cast<size_t>(best[2])], 997.0);
  EXPECT_TRUE(best_latents(std::vector<double>(5, 1.0), 0, 0.5).empty())
      << "none lies above its own quantile";
}

}  // namespace
}  // namespace orthant::sae
