#include "models/tokenizer/pre_tokenizer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/tokenizer/added_tokens.h"
#include "runtime/core/error.h"

namespace orthant {
namespace {

using models::PreTokenizer;
using models::SplitKeeps;
using Pieces = std::vector<std::string>;

Pieces pieces_of(const PreTokenizer& pre_tokenizer, const std::string& text) {
  Pieces pieces;
  pre_tokenizer.for_each_piece(text, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}

Pieces split(std::string_view name, const std::string& text) {
  return pieces_of(models::pre_tokenizer_from_gguf_name(name, "model"), text);
}

TEST(PreTokenizer, Gpt2) {
  EXPECT_EQ((Pieces{"I", "'ll", " pay", " 1234", "  ", " now", "!?", "\n\n"}),
            split("gpt-2", "I'll pay 1234   now!?\n\n"));
  EXPECT_EQ((Pieces{"WE", "'", "LL"}), split("gpt-2", "WE'LL"));
  EXPECT_EQ(Pieces{}, split("gpt-2", ""));
  EXPECT_EQ((Pieces{"a", "   "}), split("default", "a   "));
}

TEST(PreTokenizer, SmolLMIsolatesEveryDigit) {
  EXPECT_EQ((Pieces{"a", "   ", "1", "2", " b", "\xC2\xBD"}), split("smollm", "a   12 b\xC2\xBD"));
}

TEST(PreTokenizer, Llama3TakesDigitsInThreesAndContractionsInAnyCase) {
  EXPECT_EQ((Pieces{"WE", "'LL", " pay", " ", "123", "456", "7", "!!\n\n", " \t\n", "  ", " x"}),
            split("llama-bpe", "WE'LL pay 1234567!!\n\n \t\n   x"));
  EXPECT_EQ((Pieces{"(hello", ")"}), split("llama3", "(hello)"));
}

TEST(PreTokenizer, Qwen2TakesDigitsOneByOne) {
  EXPECT_EQ((Pieces{"x", "1", "2", "3", " y"}), split("qwen2", "x123 y"));
}

TEST(PreTokenizer, WhiteSpaceIsUnicodes) {
  // NEL and the ideographic space are white space, the Mongolian vowel separator is not any more.
  EXPECT_EQ((Pieces{"a", "\xC2\x85", "\xE3\x80\x80", "b"}), split("gpt-2",
                                                                  "a\xC2\x85\xE3\x80\x80"
                                                                  "b"));
  EXPECT_EQ((Pieces{"a", "\xE1\xA0\x8E", "b"}), split("gpt-2",
                                                      "a\xE1\xA0\x8E"
                                                      "b"));
  PreTokenizer separator;
  separator.add_split(R"(\s+)", SplitKeeps::kBetween);
  EXPECT_EQ((Pieces{"a\xE1\xA0\x8E"
                    "b",
                    "c"}),
            pieces_of(separator,
                      "a\xE1\xA0\x8E"
                      "b\xE2\x80\xA9 c"));
}

TEST(PreTokenizer, KeepsWhatItIsTold) {
  PreTokenizer between;
  between.add_split("-", SplitKeeps::kBetween);
  EXPECT_EQ((Pieces{"a", "b"}), pieces_of(between, "-a--b-"));
  PreTokenizer matches;
  matches.add_split("[a-z]+", SplitKeeps::kMatches);
  EXPECT_EQ((Pieces{"a", "b"}), pieces_of(matches, "-a--b-"));
  PreTokenizer quoted;
  quoted.add_split(models::Pattern::quote(".*"));
  EXPECT_EQ((Pieces{"a", ".*", "b"}), pieces_of(quoted, "a.*b"));
}

TEST(PreTokenizer, PrefixSpaceIsPutOnce) {
  PreTokenizer prefixed;
  prefixed.add_prefix_space();
  prefixed.add_split(std::string(models::kGpt2Split));
  EXPECT_EQ((Pieces{" a", " b"}), pieces_of(prefixed, "a b"));
  EXPECT_EQ((Pieces{" a"}), pieces_of(prefixed, " a"));
}

TEST(PreTokenizer, LongRunsDoNotExhaustTheMatcher) {
  const std::string text = "x" + std::string(1 << 20, ' ') + "y" + std::string(1 << 20, 'z');
  const Pieces pieces = split("llama-bpe", text);
  ASSERT_EQ(3u, pieces.size());
  EXPECT_EQ((1u << 20) - 1, pieces[1].size());
}

TEST(PreTokenizer, BadNamesAndExpressionsAreRefused) {
  EXPECT_THROW(split("made-up", "a"), Error);
  PreTokenizer broken;
  EXPECT_THROW(broken.add_split("(a"), Error);
}

TEST(AddedTokens, TheLongestAtTheFirstPositionWins) {
  const models::AddedTokens added({{"<a>", 1}, {"<a><b>", 2}, {"", 3}, {"b", 4}});
  const auto match = added.next("x<a><b>", 0);
  ASSERT_TRUE(match.has_value());
  EXPECT_EQ(2, match->id);
  EXPECT_EQ(1u, match->begin);
  EXPECT_EQ(7u, match->end);
  EXPECT_EQ(4, added.next("x<a><b>", 2)->id);
  EXPECT_FALSE(added.next("x", 0).has_value());
  EXPECT_EQ(1, added.id_of("<a>"));
  EXPECT_FALSE(added.id_of("<c>").has_value());
}

TEST(AddedTokens, TakeTheWhiteSpaceAroundThem) {
  const models::AddedTokens added({{"<l>", 1, true, false}, {"<r>", 2, false, true}});
  EXPECT_EQ(1u, added.next("a  <l> b", 0)->begin);
  EXPECT_EQ(6u, added.next("a  <l> b", 0)->end);
  EXPECT_EQ(3u, added.next("a  <l> b", 3)->begin);
  EXPECT_EQ(7u, added.next("a <r>\n b", 0)->end);
}

}  // namespace
}  // namespace orthant
