#include "sae/scoring/token_injection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "runtime/core/rng.h"

namespace orthant::sae {
namespace {

constexpr int32_t kSpecial = 0;

// Sequences of 2 to 9 tokens of six.
TokenText random_text(int64_t rows) {
  TokenText text;
  int64_t left = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const uint64_t draw = random_u64(2, Purpose::kTest, 1, static_cast<uint64_t>(r));
    text.begins.push_back(left == 0);
    if (left == 0) left = 2 + static_cast<int64_t>(draw % 8);
    --left;
    text.ids.push_back(static_cast<int32_t>(draw / 8 % 6));
  }
  return text;
}

Firings random_firings(int64_t rows) {
  Firings firings;
  for (int64_t r = 0; r < rows; ++r) {
    const float value = random_normal(2, Purpose::kTest, 2, static_cast<uint64_t>(r));
    if (value > 0.0f) firings.push_back({r, value});
  }
  return firings;
}

// By the definition: mean over every occurrence that neither begins a sequence nor is special.
std::map<int32_t, double> means_by_token(const TokenText& text, const Firings& firings) {
  std::map<int32_t, std::pair<double, int64_t>> sums;
  for (size_t r = 0; r < text.ids.size(); ++r) {
    if (text.begins[r] || text.ids[r] == kSpecial) continue;
    auto& [sum, count] = sums[text.ids[r]];
    sum += value_at(firings, static_cast<int64_t>(r));
    ++count;
  }
  std::map<int32_t, double> means;
  for (const auto& [token, of] : sums) means[token] = of.first / static_cast<double>(of.second);
  return means;
}

TEST(TokenInjection, TokensOfALatentHaveTheLargestMeans) {
  const TokenText text = random_text(400);
  const Firings firings = random_firings(400);
  const std::vector<int32_t> special = {kSpecial};
  const std::vector<TokenAffinity> found = tokens_of_latent(firings, text, special, 3, 1);
  std::map<int32_t, double> means = means_by_token(text, firings);
  ASSERT_EQ(found.size(), 3u);
  for (const TokenAffinity& each : found) {
    const auto largest = std::max_element(means.begin(), means.end(),
                                          [](const auto& a, const auto& b) { return a.second < b.second; });
    EXPECT_EQ(each.token, largest->first);
    EXPECT_NEAR(each.mean, largest->second, 1e-12);
    means.erase(largest);
  }
}

TEST(TokenInjection, RareAndSilentTokensAreLeftOut) {
  TokenText text{.ids = {1, 2, 3, 2, 3, 4}, .begins = {true, false, false, false, false, false}};
  const Firings firings = {{0, 9.0f}, {1, 1.0f}, {3, 2.0f}, {5, 7.0f}};
  const std::vector<TokenAffinity> found = tokens_of_latent(firings, text, {}, 10, 2);
  ASSERT_EQ(found.size(), 1u);  // 1 begins the sequence, 4 occurs once, 3 never has an activation
  EXPECT_EQ(found[0].token, 2);
  EXPECT_EQ(found[0].mean, 1.5);
  EXPECT_EQ(found[0].occurrences, 2);
  EXPECT_EQ(found[0].before, 3);  // token 1 begins the sequence
  EXPECT_EQ(found[0].after, 3);
}

TEST(TokenInjection, SnippetsLieWithinSequencesAndEvenlyOverThem) {
  TokenText text;
  for (int32_t r = 0; r < 40; ++r) {
    text.ids.push_back(r);
    text.begins.push_back(r == 0 || r == 7 || r == 9);
  }
  const auto all = snippets_of(text, 3, 100);
  ASSERT_EQ(all.size(), 2u + 0u + 10u);  // of 7, 2 and 31 tokens
  EXPECT_EQ(all[1], (std::vector<int32_t>{3, 4, 5}));
  EXPECT_EQ(all[2], (std::vector<int32_t>{9, 10, 11}));
  EXPECT_EQ(all.back(), (std::vector<int32_t>{36, 37, 38}));
  const auto some = snippets_of(text, 3, 4);
  ASSERT_EQ(some.size(), 4u);
  for (size_t i = 0; i < some.size(); ++i) EXPECT_EQ(some[i], all[i * 3]);
  EXPECT_TRUE(snippets_of(text, 50, 4).empty());
}

TEST(TokenInjection, InjectsWholePiecesBehindTheFirstToken) {
  std::vector<int32_t> snippet;
  for (int32_t i = 0; i < 16; ++i) snippet.push_back(100 + i);
  const std::vector<TokenAffinity> tokens = {{1, 1.0, 5, 11, 21}, {2, 0.5, 5, 12, -1}};
  const std::map<InjectionKind, int64_t> drawn = {
      {InjectionKind::kTokens, 3}, {InjectionKind::kPairs, 2}, {InjectionKind::kTriple, 1}};
  for (const auto& [kind, count] : drawn) {
    for (int64_t index = 0; index < 50; ++index) {
      const std::vector<int32_t> text = injected(snippet, tokens, kind, 3, 7, index);
      ASSERT_EQ(text.size(), snippet.size());
      EXPECT_EQ(text[0], 100);
      int64_t of_latent = 0;
      std::vector<int32_t> own;
      for (size_t t = 0; t < text.size(); ++t) {
        if (text[t] >= 100) own.push_back(text[t]);
        if (text[t] != 1 && text[t] != 2) continue;
        ++of_latent;
        if (kind == InjectionKind::kTokens) continue;
        EXPECT_EQ(text[t - 1], text[t] + 10);
        if (kind == InjectionKind::kTriple && text[t] == 1) {
          EXPECT_EQ(text[t + 1], 21);
        }
      }
      EXPECT_EQ(of_latent, count);
      EXPECT_TRUE(std::equal(own.begin(), own.end(), snippet.begin()));  // cut at the end, in their order
      EXPECT_EQ(text, injected(snippet, tokens, kind, 3, 7, index));
    }
  }
  EXPECT_NE(injected(snippet, tokens, InjectionKind::kTokens, 3, 7, 0),
            injected(snippet, tokens, InjectionKind::kTokens, 4, 7, 0));
  EXPECT_EQ(injected(snippet, {}, InjectionKind::kTokens, 3, 7, 0), snippet);
  const std::vector<int32_t> two = {100, 101};
  EXPECT_EQ(injected(two, tokens, InjectionKind::kTriple, 3, 7, 0), two);  // no room
}

TEST(TokenInjection, ClassesHaveCohensBounds) {
  EXPECT_EQ(injection_class(0.8), InjectionClass::kTokenDriven);
  EXPECT_EQ(injection_class(0.79), InjectionClass::kPartly);
  EXPECT_EQ(injection_class(0.5), InjectionClass::kPartly);
  EXPECT_EQ(injection_class(0.2), InjectionClass::kWeakly);
  EXPECT_EQ(injection_class(0.19), InjectionClass::kContextDependent);
  EXPECT_EQ(injection_class(-3.0), InjectionClass::kContextDependent);
}

}  // namespace
}  // namespace orthant::sae
