#include "models/tokenizer/merge_table.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>
#include <vector>

#include "runtime/core/rng.h"

namespace orthant {
namespace {

using models::Merge;
using models::MergeTable;
using Merges = std::map<std::pair<int32_t, int32_t>, Merge>;

// Merges the best pair of the whole sequence, again and again.
std::vector<int32_t> naive(std::vector<int32_t> tokens, const Merges& merges) {
  while (true) {
    size_t best = tokens.size();
    Merge chosen;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const auto found = merges.find({tokens[i], tokens[i + 1]});
      if (found == merges.end() || (chosen.rank >= 0 && found->second.rank >= chosen.rank)) continue;
      chosen = found->second;
      best = i;
    }
    if (best == tokens.size()) return tokens;
    tokens[best] = chosen.token;
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(MergeTable, RandomSequencesMergeAsTheDefinitionSays) {
  for (uint32_t round = 0; round < 200; ++round) {
    uint64_t index = 0;
    const auto draw = [round, &index](int32_t below) {
      return static_cast<int32_t>(random_u64(5, Purpose::kTest, round, index++) %
                                  static_cast<uint64_t>(below));
    };
    Merges merges;
    MergeTable table(2);
    const int32_t symbols = 2 + draw(4);
    const int32_t count = 3 + draw(40);
    for (int32_t i = 0; i < count; ++i) {
      const std::pair<int32_t, int32_t> pair = {draw(symbols + i), draw(symbols + i)};
      const Merge merge{i / 2, symbols + i};  // every second rank is a tie
      if (!merges.emplace(pair, merge).second) continue;
      table.add(pair.first, pair.second, merge);
    }
    EXPECT_EQ(static_cast<int64_t>(merges.size()), table.size());
    std::vector<int32_t> tokens;
    const int32_t length = draw(60);
    for (int32_t i = 0; i < length; ++i) tokens.push_back(draw(symbols));
    std::vector<int32_t> merged = tokens;
    table.apply(merged, 0);
    EXPECT_EQ(naive(tokens, merges), merged) << "round " << round;
  }
}

TEST(MergeTable, TokensBeforeTheFirstStay) {
  MergeTable table(1);
  table.add(1, 1, {0, 2});
  table.add(1, 1, {0, 9});
  std::vector<int32_t> tokens = {1, 1, 1, 1, 1};
  table.apply(tokens, 2);
  EXPECT_EQ((std::vector<int32_t>{1, 1, 2, 1}), tokens);
  table.apply(tokens, 4);
  EXPECT_EQ(4u, tokens.size());
  EXPECT_LT(table.find(2, 1).rank, 0);
}

}  // namespace
}  // namespace orthant
