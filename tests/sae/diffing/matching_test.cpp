#include "sae/diffing/matching.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/core/rng.h"
#include "sae/diffing/nearest_latents.h"

namespace orthant::sae {
namespace {

constexpr int64_t kWidth = 48;

Dictionary random_decoder(int64_t latents, uint64_t seed, Memory& memory) {
  Conventions c;
  c.architecture = Architecture::kTopK;
  c.latents = latents;
  c.k = 1;
  Dictionary d = allocate_dictionary(c, kWidth, {0, latents}, memory);
  for (size_t i = 0; i < d.decoder.view().span().size(); ++i) {
    d.decoder.data()[i] = random_normal(seed, Purpose::kTest, 0, i);
  }
  return d;
}

// Latent i of the copy is latent order[i] of `from`, longer and a little disturbed.
Dictionary permuted(const Dictionary& from, const std::vector<int64_t>& order, Memory& memory) {
  Dictionary copy = random_decoder(static_cast<int64_t>(order.size()), 5, memory);
  for (size_t i = 0; i < order.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    for (int64_t c = 0; c < kWidth; ++c) {
      float& value = copy.decoder.view().row(row)[c];
      value = 3.0f * from.decoder.view().row(order[i])[c] + 0.2f * value;
    }
  }
  return copy;
}

std::vector<int64_t> shuffled(int64_t count) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[random_u64(6, Purpose::kTest, 0, i) % i]);
  }
  return order;
}

TEST(Matching, RecoversAPermutation) {
  Memory memory;
  const int64_t latents = 1300;  // more than one block
  const Dictionary a = random_decoder(latents, 1, memory);
  const std::vector<int64_t> order = shuffled(latents);
  const Dictionary b = permuted(a, order, memory);
  const DictionaryMatch found = match_dictionaries(b, a, 8, 1e-6);
  EXPECT_EQ(found.assignment.column, order);
  EXPECT_EQ(found.nearest, order);
  EXPECT_TRUE(
      std::all_of(found.mutually_nearest.begin(), found.mutually_nearest.end(), [](bool m) { return m; }));
  EXPECT_GT(*std::min_element(found.cosine.begin(), found.cosine.end()), 0.99f);
  const Assignment& assignment = found.assignment;
  EXPECT_LE(assignment.bound - assignment.sum, 1e-6 * static_cast<double>(latents) + 1e-9);
  EXPECT_GE(assignment.bound_of_all_pairs, assignment.bound);
  // The ninth largest of 1,300 random cosines is far below those of the pairs.
  EXPECT_LE(assignment.bound_of_all_pairs - assignment.sum, 0.01 * assignment.sum);
}

TEST(Matching, TellsPlantedExclusiveLatentsFromSharedOnes) {
  Memory memory;
  constexpr int64_t kShared = 300, kOwn = 40;
  const Dictionary a = random_decoder(kShared + kOwn, 1, memory);
  const std::vector<int64_t> order = shuffled(kShared);
  Dictionary b = random_decoder(kShared + kOwn, 2, memory);  // the last latents are of its own
  for (int64_t i = 0; i < kShared; ++i) {
    std::copy_n(a.decoder.view().row(order[static_cast<size_t>(i)]), kWidth, b.decoder.view().row(i));
  }
  const DictionaryMatch found = match_dictionaries(b, a, 16, 1e-6);
  const double chance = chance_largest_cosine(kWidth, kShared + kOwn);
  for (int64_t i = 0; i < kShared + kOwn; ++i) {
    const auto at = static_cast<size_t>(i);
    if (i < kShared) {
      EXPECT_EQ(found.assignment.column[at], order[at]);
      EXPECT_NEAR(found.cosine[at], 1.0f, 1e-5f);
      EXPECT_TRUE(found.mutually_nearest[at]);
      continue;
    }
    // What is left of a is its own latents: a pair by chance, and nearest to one by chance too. The largest
    // of 340 cosines in 48 dimensions spreads by about 0.05.
    EXPECT_TRUE(found.assignment.column[at] < 0 || found.assignment.column[at] >= kShared) << i;
    EXPECT_LT(found.cosine[at], 0.7f);
    EXPECT_NEAR(found.nearest_cosine[at], chance, 5 * 0.05);
  }
}

TEST(Matching, OfRandomDecodersIsThatOfChance) {
  Memory memory;
  const int64_t latents = 500;
  const Dictionary a = random_decoder(latents, 1, memory), b = random_decoder(latents, 2, memory);
  const DictionaryMatch found = match_dictionaries(a, b, 16, 1e-6);
  const double mean =
      std::accumulate(found.nearest_cosine.begin(), found.nearest_cosine.end(), 0.0) / latents;
  EXPECT_NEAR(mean, chance_largest_cosine(kWidth, latents), 5 * 0.05 / std::sqrt(500.0));
  EXPECT_EQ(std::count_if(found.cosine.begin(), found.cosine.end(), [](float c) { return c > 0.7f; }), 0);
}

TEST(Matching, LatentsOfTheOtherAloneStayWithoutPairWhereColumnsAreFew) {
  Memory memory;
  const Dictionary a = random_decoder(60, 1, memory), few = random_decoder(20, 2, memory);
  const DictionaryMatch found = match_dictionaries(a, few, 20, 1e-6);
  std::vector<int64_t> taken = found.assignment.column;
  EXPECT_GE(std::count(taken.begin(), taken.end(), -1), 40);
  taken.erase(std::remove(taken.begin(), taken.end(), -1), taken.end());
  std::sort(taken.begin(), taken.end());
  EXPECT_TRUE(std::adjacent_find(taken.begin(), taken.end()) == taken.end());
  for (size_t i = 0; i < found.cosine.size(); ++i) {
    EXPECT_EQ(found.cosine[i] == 0.0f, found.assignment.column[i] < 0);
    EXPECT_LE(found.cosine[i], found.nearest_cosine[i]);
  }
}

}  // namespace
}  // namespace orthant::sae
