#include "models/tasks/pair_forwards.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "runtime/core/error.h"

namespace orthant {
namespace {

using models::PairForward;
using models::PairLayout;
using models::TokenPair;

using Ids = std::vector<int32_t>;

Ids counting(int32_t first, int64_t count) {
  Ids ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(first + static_cast<int32_t>(i));
  return ids;
}

std::vector<PairForward> forwards_of(const std::vector<TokenPair>& pairs, const PairLayout& layout,
                                     int64_t context_length = 1000) {
  return models::lay_out_pairs(pairs, context_length, layout).forwards;
}

int64_t rows_of(const std::vector<PairForward>& forwards) {
  int64_t rows = 0;
  for (const PairForward& forward : forwards) rows += forward.batch().tokens();
  return rows;
}

// What stands before each row of a forward and at it.
std::vector<Ids> ids_up_to_rows(const PairForward& forward) {
  std::vector<Ids> found;
  const auto batch = forward.batch();
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    Ids ids;
    for (const int64_t member : {batch.parent_of(s), s}) {
      if (member < 0) continue;
      const int64_t begin = batch.offsets[static_cast<size_t>(member)];
      for (int64_t row = begin; row < begin + batch.rows_of(member); ++row) {
        ids.push_back(batch.token_ids[static_cast<size_t>(row)]);
        if (member == s) found.push_back(ids);
      }
    }
  }
  return found;
}

// Every pair is asked for once, its tokens after the ids that come before them.
void expect_right(const std::vector<TokenPair>& pairs, const std::vector<PairForward>& forwards,
                  int64_t context_length) {
  std::multiset<size_t> asked;
  for (const PairForward& forward : forwards) {
    const std::vector<Ids> seen = ids_up_to_rows(forward);
    ASSERT_EQ(static_cast<int64_t>(seen.size()), forward.batch().tokens());
    ASSERT_EQ(forward.rows.size(), forward.targets.size());
    size_t next = 0;
    for (const size_t pair : forward.pairs) {
      asked.insert(pair);
      Ids whole = pairs[pair].context;
      whole.insert(whole.end(), pairs[pair].continuation.begin(), pairs[pair].continuation.end());
      const auto excess = static_cast<int64_t>(whole.size()) - 1 - context_length;
      if (excess > 0) whole.erase(whole.begin(), whole.begin() + excess);
      size_t length = whole.size() - pairs[pair].continuation.size();
      for (const int32_t token : pairs[pair].continuation) {
        ASSERT_EQ(forward.targets[next], token);
        ASSERT_EQ(seen[static_cast<size_t>(forward.rows[next])],
                  Ids(whole.begin(), whole.begin() + static_cast<long>(length)));
        ++length;
        ++next;
      }
    }
    ASSERT_EQ(next, forward.targets.size());
  }
  ASSERT_EQ(asked.size(), pairs.size());
  for (size_t i = 0; i < pairs.size(); ++i) ASSERT_EQ(asked.count(i), 1u) << i;
}

TEST(LayOutPairs, ChoicesOfAQuestionShareItsRows) {
  const Ids question = counting(100, 20), other = counting(200, 30);
  const std::vector<TokenPair> pairs = {
      {question, {1, 2, 3}}, {other, {4, 5}}, {question, {6}}, {other, {7, 8, 9}}, {question, {1, 9, 9, 9}}};
  const auto forwards = forwards_of(pairs, {});
  expect_right(pairs, forwards, 1000);
  ASSERT_EQ(forwards.size(), 1u);
  // 20 rows of the question (all that its one-token choice needs), 1 2 and 1 9 9; 30 of the other, 4 and 7 8.
  EXPECT_EQ(rows_of(forwards), 20 + 2 + 3 + 30 + 1 + 2);
  EXPECT_EQ(forwards[0].parents, (std::vector<int64_t>{-1, 0, 0, -1, 3, 3}));
  EXPECT_EQ(rows_of(forwards_of(pairs, {.shares_contexts = false})), 20 + 22 + 23 + 31 + 32);
}

TEST(LayOutPairs, PairsThatDifferInTheLastTokenShareOneInput) {
  const Ids question = counting(100, 20);
  std::vector<TokenPair> pairs;
  for (int32_t answer = 0; answer < 4; ++answer) pairs.push_back({question, {answer}});
  pairs.push_back({counting(100, 19), {119, 7}});  // the same ids cut elsewhere
  for (const bool shares : {true, false}) {
    const auto forwards = forwards_of(pairs, {.shares_contexts = shares});
    expect_right(pairs, forwards, 1000);
    EXPECT_EQ(rows_of(forwards), 20);
  }
}

TEST(LayOutPairs, ContextsThatBeginAlikeShareTheirBeginning) {
  Ids first = counting(0, 40), second = counting(0, 40);
  first.insert(first.end(), {500, 501});
  second.insert(second.end(), {600});
  const std::vector<TokenPair> pairs = {{first, {7, 8}}, {second, {7, 8}}};
  const auto forwards = forwards_of(pairs, {});
  expect_right(pairs, forwards, 1000);
  EXPECT_EQ(rows_of(forwards), 40 + 3 + 2);
}

// Beginning with three common ids is not worth a sequence, with twelve it is.
TEST(LayOutPairs, QuestionsAreNotTornApartForAFewCommonIds) {
  std::vector<TokenPair> pairs;
  for (int32_t q = 0; q < 6; ++q) {
    Ids question = {1, 2, 3};
    const Ids own = counting(100 * q + 100, 12);
    question.insert(question.end(), own.begin(), own.end());
    for (int32_t choice = 0; choice < 2; ++choice) pairs.push_back({question, {choice, 5, 6}});
  }
  const auto forwards = forwards_of(pairs, {});
  expect_right(pairs, forwards, 1000);
  EXPECT_EQ(rows_of(forwards), 6 * (15 + 2 + 2));
}

TEST(LayOutPairs, AnInputThatAllOthersContinueNeedsNoRowsOfItsOwn) {
  const Ids all = counting(100, 30);
  const std::vector<TokenPair> pairs = {{all, {1}}, {all, {2, 3}}};
  const auto forwards = forwards_of(pairs, {});
  expect_right(pairs, forwards, 1000);
  EXPECT_EQ(rows_of(forwards), 31);
}

TEST(LayOutPairs, LongContextsLoseTokensOnTheLeft) {
  const std::vector<TokenPair> pairs = {
      {counting(0, 60), {1, 2}}, {counting(0, 49), {1, 2}}, {counting(0, 60), {1}}, {{9}, counting(0, 50)}};
  for (const bool shares : {true, false}) {
    const auto found = models::lay_out_pairs(pairs, 50, {.shares_contexts = shares});
    expect_right(pairs, found.forwards, 50);
    EXPECT_EQ(found.cut_contexts, 2);
    EXPECT_EQ(models::limits_of(found.forwards).positions, 50);
  }
  EXPECT_THROW((void)models::lay_out_pairs(std::vector<TokenPair>{{{1}, counting(0, 51)}}, 50, {}), Error);
}

TEST(LayOutPairs, BatchesAreThoseOfTheHarness) {
  const std::vector<TokenPair> pairs = {{{5, 6, 7}, {1}},      {{5, 6}, {1, 2, 3}}, {{4, 6}, {1, 2, 3}},
                                        {{5, 6, 7}, {2}},      {{9}, {9}},          {{5}, {6, 1, 2, 4}},
                                        {{3, 3, 3, 3}, {3, 3}}};
  const auto forwards = forwards_of(pairs, {.shares_contexts = false, .batch = 2, .pads = true});
  expect_right(pairs, forwards, 1000);
  // By falling length of context and continuation, then by ids; the ids 5 6 1 2 are one input.
  ASSERT_EQ(forwards.size(), 3u);
  EXPECT_EQ(forwards[0].token_ids, (Ids{3, 3, 3, 3, 3, 4, 6, 1, 2, 0}));
  EXPECT_EQ(forwards[0].offsets, (std::vector<int64_t>{0, 5, 10}));
  EXPECT_EQ(forwards[1].token_ids, (Ids{5, 6, 1, 2, 5, 6, 7, 0}));
  EXPECT_EQ(forwards[1].pairs, (std::vector<size_t>{1, 5, 0, 3}));
  EXPECT_EQ(forwards[2].token_ids, (Ids{9}));
}

TEST(LayOutPairs, PaddedForwardsStayWithinTheirRows) {
  std::vector<TokenPair> pairs;
  for (int32_t i = 0; i < 20; ++i) pairs.push_back({counting(i, 3 + i), {1, 2}});
  const auto forwards = forwards_of(pairs, {.shares_contexts = false, .forward_tokens = 64, .pads = true});
  expect_right(pairs, forwards, 1000);
  for (const PairForward& forward : forwards) {
    EXPECT_LE(forward.batch().tokens(), 64);
    for (int64_t s = 0; s < forward.batch().sequences(); ++s) {
      EXPECT_EQ(forward.batch().rows_of(s), forward.batch().rows_of(0));
    }
  }
}

// Against all ways to part five sorted inputs into neighbours.
TEST(LayOutPairs, NeedsTheFewestRowsOfAllFamilies) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<Ids> inputs;
    for (int i = 0; i < 5; ++i) {
      Ids ids = counting(100, 8 + static_cast<int64_t>(random() % 12));
      if (random() % 3 != 0) ids[8] = static_cast<int32_t>(random() % 3);
      ids.push_back(static_cast<int32_t>(random() % 50));
      inputs.push_back(ids);
    }
    std::ranges::sort(inputs);
    inputs.erase(std::unique(inputs.begin(), inputs.end()), inputs.end());
    int64_t fewest = INT64_MAX;
    for (unsigned cuts = 0; cuts < 1u << (inputs.size() - 1); ++cuts) {
      int64_t rows = 0;
      size_t first = 0;
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (i + 1 < inputs.size() && (cuts >> i & 1u) == 0) continue;
        const auto shared =
            std::mismatch(inputs[first].begin(), inputs[first].end(), inputs[i].begin(), inputs[i].end())
                .first -
            inputs[first].begin();
        rows += i == first ? 0 : shared;
        for (size_t k = first; k <= i; ++k)
          rows += static_cast<int64_t>(inputs[k].size()) - (i == first ? 0 : shared);
        first = i + 1;
      }
      fewest = std::min(fewest, rows);
    }
    std::vector<TokenPair> pairs;
    for (const Ids& ids : inputs) pairs.push_back({ids, {1}});
    const auto forwards = forwards_of(pairs, {});
    expect_right(pairs, forwards, 1000);
    ASSERT_EQ(rows_of(forwards), fewest) << trial;
  }
}

TEST(LayOutPairs, FamiliesStayWithinAForwardAndItsKeys) {
  std::vector<TokenPair> pairs;
  for (int32_t i = 0; i < 300; ++i) {
    Ids context = counting(0, 100);
    context.push_back(1000 + i);
    pairs.push_back({context, {1, 2}});
  }
  const auto forwards = forwards_of(pairs, {.forward_tokens = 256});
  expect_right(pairs, forwards, 1000);
  EXPECT_LT(rows_of(forwards), 300 * 102 / 8);
  const models::RunLimits limits = models::limits_of(forwards);
  EXPECT_LE(limits.tokens, 256);
  EXPECT_LE(limits.kept, 8 * 256);
  EXPECT_EQ(limits.positions, 102);
}

TEST(LayOutPairs, NothingNeedsNoForward) {
  EXPECT_TRUE(forwards_of({}, {}).empty());
}

}  // namespace
}  // namespace orthant
