#include "models/tasks/pair_scoring.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "kernels/ref/round_bf16.h"
#include "runtime/core/error.h"
#include "tests/support/letter_tokenizer.h"
#include "tests/support/reference_forward.h"

namespace orthant {
namespace {

using models::LogitRounding;
using models::PairOptions;
using models::TokenPair;

std::vector<int32_t> tokens(int64_t count, int32_t seed) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>((i * i * 5 + i + seed) % 11));
  return ids;
}

class PairScoring : public ::testing::Test {
 protected:
  ~PairScoring() override { omp_set_num_threads(threads_before); }
  // log p of the tokens of the continuation, from the formulas.
  [[nodiscard]] std::vector<double> reference_log_probs(const TokenPair& pair) const {
    std::vector<int32_t> ids = pair.context;
    ids.insert(ids.end(), pair.continuation.begin(), pair.continuation.end());
    std::vector<testing::Rows> ignored;
    const testing::Rows logits = testing::ReferenceForward(model).logits(ids, ignored);
    std::vector<double> result;
    for (size_t t = pair.context.size() - 1; t + 1 < ids.size(); ++t) {
      double sum = 0.0;
      for (const double logit : logits[t]) sum += std::exp(logit);
      result.push_back(logits[t][static_cast<size_t>(ids[t + 1])] - std::log(sum));
    }
    return result;
  }
  std::vector<models::PairScore> score(std::span<const TokenPair> pairs, const PairOptions& options = {}) {
    return models::score_pairs(weights, pairs, options, memory, stream).pairs;
  }

  int threads_before = omp_get_max_threads();
  Memory memory;
  Stream stream;
  testing::MemoryModel model{testing::varied_config()};
  models::Weights weights = models::load_weights(model, {}, memory, stream);
};

TEST_F(PairScoring, ScoresAreThoseOfTheFormulas) {
  const std::vector<TokenPair> pairs = {
      {{1, 2, 3}, {4, 5}}, {{1, 2, 3}, {9}}, {tokens(30, 2), {4}}, {tokens(30, 2), tokens(40, 1)}};
  const auto scores = score(pairs);
  for (size_t i = 0; i < pairs.size(); ++i) {
    double sum = 0.0;
    for (const double log_prob : reference_log_probs(pairs[i])) sum += log_prob;
    EXPECT_NEAR(scores[i].log_prob, sum, 1e-3);
    EXPECT_EQ(scores[i].tokens, static_cast<int64_t>(pairs[i].continuation.size()));
  }
}

// Choices of many questions, one-token choices, an input of others, contexts that are cut.
std::vector<TokenPair> many_pairs() {
  std::vector<TokenPair> pairs;
  for (int32_t question = 0; question < 9; ++question) {
    const auto context = tokens(question == 8 ? 530 : 10 + 7 * question, question);
    for (int32_t choice = 0; choice < 4; ++choice) {
      pairs.push_back({context, tokens(question % 3 == 0 ? 1 : 1 + choice * 5, choice)});
    }
  }
  pairs.push_back({tokens(10, 0), tokens(10, 0)});
  pairs.push_back({{7}, {3}});
  return pairs;
}

bool same(const models::PairScore& a, const models::PairScore& b) {
  return a.log_prob == b.log_prob && a.greedy == b.greedy && a.tokens == b.tokens &&
         a.log_prob_bf16 == b.log_prob_bf16 && a.greedy_bf16 == b.greedy_bf16;
}

TEST_F(PairScoring, ScoresDoNotDependOnBatchesSharingOrderPaddingOrThreads) {
  const std::vector<TokenPair> pairs = many_pairs();
  std::vector<models::PairScore> alone;
  for (const TokenPair& pair : pairs) {
    alone.push_back(score({&pair, 1}, {.rounding = LogitRounding::kBf16Too})[0]);
  }
  std::vector<models::PairLayout> layouts;
  for (const int64_t batch : {0, 1, 8, 64}) {
    layouts.push_back({.batch = batch});
    layouts.push_back({.shares_contexts = false, .batch = batch});
    layouts.push_back({.shares_contexts = false, .batch = batch, .pads = true});
    layouts.push_back({.forward_tokens = 100, .batch = batch});
  }
  const std::vector<TokenPair> reversed(pairs.rbegin(), pairs.rend());
  for (const int threads : {1, 2}) {
    omp_set_num_threads(threads);
    for (const models::PairLayout& layout : layouts) {
      const PairOptions options{.layout = layout, .rounding = LogitRounding::kBf16Too};
      const auto scores = score(pairs, options), turned = score(reversed, options);
      for (size_t i = 0; i < pairs.size(); ++i) {
        EXPECT_TRUE(same(scores[i], alone[i])) << i << " batch " << layout.batch;
        EXPECT_TRUE(same(turned[pairs.size() - 1 - i], alone[i])) << i << " batch " << layout.batch;
      }
    }
  }
}

TEST_F(PairScoring, BatchesOfBf16WeightsGiveTheBitsOfSinglePairs) {
  const models::Weights rounded = models::load_weights(model, {}, memory, stream, kernels::Precision::kBF16);
  const std::vector<TokenPair> pairs = many_pairs();
  const auto together = models::score_pairs(rounded, pairs, {}, memory, stream).pairs;
  for (size_t i = 0; i < pairs.size(); i += 3) {
    const auto alone = models::score_pairs(rounded, std::span(pairs).subspan(i, 1), {}, memory, stream).pairs;
    EXPECT_EQ(together[i].log_prob, alone[0].log_prob) << i;
  }
}

// One input of 301 tokens of which more rows are scored than one forward has: 30 times 100.
TEST_F(PairScoring, ManyContinuationsOfOneInputAreScoredTogether) {
  const auto ids = tokens(302, 6);
  const TokenPair pair{{ids.begin(), ids.end() - 100}, {ids.end() - 100, ids.end()}};
  const std::vector<TokenPair> pairs(30, pair);
  const auto scores = score(pairs), alone = score(std::span(pairs).first(1));
  ASSERT_EQ(scores.size(), 30u);
  for (const auto& found : scores) EXPECT_EQ(found.log_prob, alone[0].log_prob);
}

TEST_F(PairScoring, LongContextsAreCutOnTheLeftAndCounted) {
  const auto context = tokens(600, 2);
  const std::vector<TokenPair> pairs = {{context, {4, 5}}, {{context.begin() + 89, context.end()}, {4, 5}}};
  const auto scores = models::score_pairs(weights, pairs, {}, memory, stream);
  EXPECT_EQ(scores.pairs[0].log_prob, scores.pairs[1].log_prob);
  EXPECT_EQ(scores.cut_contexts, 1);
  const std::vector<TokenPair> endless = {{{1}, tokens(513, 2)}};
  EXPECT_THROW((void)score(endless), Error);
}

TEST_F(PairScoring, Bf16ScoresAreRoundedWhereTheModelRounds) {
  const std::vector<TokenPair> pairs = {{tokens(12, 3), tokens(20, 4)}, {tokens(5, 1), {2}}};
  const auto scores = score(pairs, {.rounding = LogitRounding::kBf16Too});
  for (size_t i = 0; i < pairs.size(); ++i) {
    // A logit is off by up to 2^-9 of itself, a log-probability too, and so is the sum.
    double sum = 0.0, bound = 0.0;
    for (const double log_prob : reference_log_probs(pairs[i])) {
      sum += log_prob;
      bound += (2.0 * std::abs(log_prob) + 8.0) / 256.0;
    }
    EXPECT_NEAR(scores[i].log_prob_bf16, sum, bound);
    EXPECT_NE(scores[i].log_prob_bf16, scores[i].log_prob);
    const auto value = static_cast<float>(scores[i].log_prob_bf16);
    EXPECT_EQ(value, kernels::ref::round_bf16(value));
  }
}

// -5.03125 and -0.333984375 are bf16 numbers whose sum, -5.365234375, is not one.
TEST(SumOfPair, RoundsTheBf16SumOnce) {
  const std::vector<models::TokenScore> found = {{-5.03, true, -5.03125, true},
                                                 {-0.3333, true, -0.333984375, false}};
  const models::PairScore sum = models::sum_of(found);
  EXPECT_EQ(sum.log_prob_bf16, -5.375);
  EXPECT_DOUBLE_EQ(sum.log_prob, -5.3633);
  EXPECT_TRUE(sum.greedy);
  EXPECT_FALSE(sum.greedy_bf16);
  EXPECT_EQ(sum.tokens, 2);
}

TEST(EncodePair, TokenisesAsTheHarnessDoes) {
  const testing::LetterTokenizer plain, with_bos(true);
  const auto pair = models::encode_pair(plain, "ab ", "cd");
  EXPECT_EQ(pair.context, plain.encode("ab"));
  EXPECT_EQ(pair.continuation, plain.encode("cd"));
  EXPECT_EQ(models::encode_pair(plain, "", "cd").context, std::vector<int32_t>{1});
  EXPECT_EQ(models::encode_pair(with_bos, "a", "b").context, (std::vector<int32_t>{1, 3}));
  const auto start = models::PairStart::kOnlyOfEmptyContexts;
  EXPECT_EQ(models::encode_pair(with_bos, "a", "b", start).context, std::vector<int32_t>{3});
  EXPECT_EQ(models::encode_pair(with_bos, "", "b", start).context, std::vector<int32_t>{1});
  EXPECT_THROW((void)models::encode_pair(plain, "ab", "?"), Error);
}

}  // namespace
}  // namespace orthant
