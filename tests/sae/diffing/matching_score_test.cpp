#include "sae/diffing/matching_score.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/comm/world.h"
#include "tests/support/random_codes.h"

namespace orthant::sae {
namespace {

constexpr int64_t kRows = 200;
constexpr int64_t kLatents = 17;
constexpr int64_t kOther = 12;

// Two latents share a partner, some have none, and some of the other are nobody's.
std::vector<int64_t> partners() {
  std::vector<int64_t> partner;
  for (int64_t i = 0; i < kLatents; ++i) partner.push_back(i % 4 == 3 ? -1 : i % 9);
  return partner;
}

std::vector<std::vector<double>> dense(kernels::CodesView codes, int64_t latents) {
  std::vector<std::vector<double>> rows(static_cast<size_t>(codes.rows()),
                                        std::vector<double>(static_cast<size_t>(latents), 0.0));
  for (int64_t r = 0; r < codes.rows(); ++r) {
    for (int64_t e = codes.row_offsets.data[r]; e < codes.row_offsets.data[r + 1]; ++e) {
      rows[static_cast<size_t>(r)][static_cast<size_t>(codes.latents.data[e])] = codes.values.data[e];
    }
  }
  return rows;
}

MatchingScores measured(kernels::CodesView codes, kernels::CodesView other, World& world) {
  const std::vector<int64_t> partner = partners();
  MatchingSums sums(partner, kOther, world.rank());
  constexpr int64_t kBlockRows = 30;
  for (int64_t done = 0; done < codes.rows(); done += kBlockRows * world.size()) {
    const int64_t begin = done + kBlockRows * world.rank();
    const int64_t count = std::clamp<int64_t>(codes.rows() - begin, 0, kBlockRows);
    if (count > 0) sums.take(codes.row_range(begin, count), other.row_range(begin, count));
    sums.add(*world.data);
  }
  return sums.scores();
}

TEST(MatchingScore, IsTheCosineOfActivationsOverTokens) {
  kernels::Codes a = testing::random_codes(kRows, kLatents, 6, 1),
                 b = testing::random_codes(kRows, kOther, 5, 2);
  World world = make_self_world();
  const MatchingScores found = measured(a.view(), b.view(), world);
  const auto x = dense(a.view(), kLatents), y = dense(b.view(), kOther);
  const std::vector<int64_t> partner = partners();
  for (size_t i = 0; i < kLatents; ++i) {
    double xx = 0.0, yy = 0.0, xy = 0.0;
    int64_t fired = 0, mate = 0, both = 0;
    for (size_t r = 0; r < kRows; ++r) {
      const double f = x[r][i];
      const double g = partner[i] < 0 ? 0.0 : y[r][static_cast<size_t>(partner[i])];
      xx += f * f;
      yy += g * g;
      xy += f * g;
      fired += f != 0.0 ? 1 : 0;
      mate += g != 0.0 ? 1 : 0;
      both += f != 0.0 && g != 0.0 ? 1 : 0;
    }
    EXPECT_NEAR(found.score[i], yy > 0.0 ? xy / std::sqrt(xx * yy) : 0.0, 1e-12) << i;
    EXPECT_EQ(found.fired[i], fired) << i;
    EXPECT_EQ(found.partner[i], mate) << i;
    EXPECT_EQ(found.both[i], both) << i;
  }
}

TEST(MatchingScore, HasTheSameBitsAtAnyNumberOfRanks) {
  kernels::Codes a = testing::random_codes(kRows, kLatents, 6, 1),
                 b = testing::random_codes(kRows, kOther, 5, 2);
  World self = make_self_world();
  const MatchingScores wanted = measured(a.view(), b.view(), self);
  for (const int ranks : {2, 3, 4}) {
    run_thread_ranks(ranks, [&](World world) {
      const MatchingScores found = measured(a.view(), b.view(), world);
      EXPECT_EQ(found.score, wanted.score);
      EXPECT_EQ(found.both, wanted.both);
    });
  }
}

TEST(MatchingScore, OfALatentWithItselfIsOneAndOfOneThatNeverFiresNone) {
  kernels::Codes a = testing::random_codes(kRows, kLatents, 6, 1);
  std::vector<int64_t> itself;
  for (int64_t i = 0; i <= kLatents; ++i) itself.push_back(i);
  World world = make_self_world();
  MatchingSums sums(itself, kLatents + 1, 0);
  sums.take(a.view(), a.view());
  sums.add(*world.data);
  const MatchingScores found = sums.scores();
  for (size_t i = 0; i < kLatents; ++i) EXPECT_NEAR(found.score[i], 1.0, 1e-12);
  EXPECT_EQ(found.score[kLatents], 0.0) << "the last latent never fires";
}

TEST(MatchingShares, AreCutAtTheLimitsOfThePaper) {
  const std::vector<double> scores = {0.71, 0.7, 0.51, 0.5, 0.0, 1.0, 0.6, 0.9};
  const MatchingShares found = matching_shares(scores);
  EXPECT_DOUBLE_EQ(found.same, 3.0 / 8.0) << "above 0.7";
  EXPECT_DOUBLE_EQ(found.maybe, 3.0 / 8.0) << "0.7, 0.51 and 0.6";
  EXPECT_DOUBLE_EQ(found.different, 2.0 / 8.0) << "0.5 and less";
  EXPECT_EQ(matching_shares({}).same, 0.0);
}

}  // namespace
}  // namespace orthant::sae
