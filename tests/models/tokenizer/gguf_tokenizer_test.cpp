#include "models/tokenizer/gguf_tokenizer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/core/error.h"
#include "tests/support/code_of.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_tokenizers.h"

namespace orthant {
namespace {

using testing::GgufBuilder;
using ::testing::HasSubstr;
using testing::TempDir;
using Ids = std::vector<int32_t>;

const std::string kMark = "\xE2\x96\x81";

std::unique_ptr<models::Tokenizer> open(const GgufBuilder& builder) {
  const TempDir folder;
  builder.write(folder.file("t.gguf"));
  return models::open_tokenizer(folder.file("t.gguf"));
}

ExitCode refusal(const GgufBuilder& builder, const std::string& part) {
  std::string message;
  const ExitCode code = testing::code_of([&] { (void)open(builder); }, &message);
  EXPECT_THAT(message, HasSubstr(part));
  return code;
}

GgufBuilder byte_level(const std::string& pre) {
  GgufBuilder builder;
  builder.value("tokenizer.ggml.model", "gpt2").value("tokenizer.ggml.pre", pre);
  builder.array("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "1", "ab", "11", "<s>", "ba"});
  builder.array("tokenizer.ggml.token_type", std::vector<int32_t>{1, 1, 1, 1, 1, 3, 1});
  builder.array("tokenizer.ggml.merges", std::vector<std::string>{"a b", "1 1", "b a"});
  builder.value("tokenizer.ggml.bos_token_id", uint32_t{5});
  return builder;
}

// Scores make " b" win over "ab", and ties go to the left.
GgufBuilder sentence_piece() {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>", kMark, "a", "b", "aa", kMark + "b", "ab", "abb"};
  std::vector<float> scores = {0, 0, 0, -9, -9, -9, -2, -1, -2, -8};
  std::vector<int32_t> types = {2, 3, 3, 1, 1, 1, 1, 1, 1, 1};
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(fmt::format("<0x{:02X}>", byte));
    scores.push_back(0);
    types.push_back(6);
  }
  GgufBuilder builder;
  builder.value("tokenizer.ggml.model", "llama");
  builder.array("tokenizer.ggml.tokens", tokens).array("tokenizer.ggml.scores", scores);
  builder.array("tokenizer.ggml.token_type", types);
  builder.value("tokenizer.ggml.bos_token_id", uint32_t{1}).value("tokenizer.ggml.eos_token_id", uint32_t{2});
  return builder;
}

TEST(GgufTokenizer, PreTokenizerDecidesWhatMayMerge) {
  EXPECT_EQ((Ids{3, 4}), open(byte_level("gpt-2"))->encode("ab11"));
  EXPECT_EQ((Ids{3, 2, 2}), open(byte_level("smollm"))->encode("ab11"));
  EXPECT_EQ((Ids{3, 2, 2}), open(byte_level("qwen2"))->encode("ab11"));
  EXPECT_EQ((Ids{3, 4}), open(byte_level("llama-bpe"))->encode("ab11"));
  EXPECT_EQ(ExitCode::kConfig, refusal(byte_level("tekken"), "tekken"));
}

TEST(GgufTokenizer, BosIsAddedByDefaultOnlyWhereTheModelDoes) {
  EXPECT_FALSE(open(byte_level("gpt-2"))->adds_bos());
  EXPECT_TRUE(open(byte_level("llama-bpe"))->adds_bos());
  EXPECT_TRUE(open(byte_level("gpt-2").value("tokenizer.ggml.add_bos_token", true))->adds_bos());
  EXPECT_TRUE(open(sentence_piece())->adds_bos());
  EXPECT_FALSE(open(sentence_piece().value("tokenizer.ggml.add_bos_token", false))->adds_bos());
}

TEST(GgufTokenizer, SpecialTokensAreFoundInTheText) {
  EXPECT_EQ((Ids{0, 5, 3}), open(byte_level("gpt-2"))->encode("a<s>ab"));
  EXPECT_EQ("a<s>ab", open(byte_level("gpt-2"))->decode(Ids{0, 5, 3}));
}

TEST(GgufTokenizer, SpecialTokensAreNoPlainText) {
  EXPECT_EQ("aab", models::plain_text(*open(byte_level("gpt-2")), Ids{0, 5, 3}));
  EXPECT_EQ("a b", models::plain_text(*open(sentence_piece()), Ids{1, 0, 3, 4, 2, 7, 1}));
}

TEST(GgufTokenizer, AGenerationEndsAtAnyTokenTheFileNames) {
  EXPECT_TRUE(open(byte_level("gpt-2"))->ends().empty());
  EXPECT_EQ((Ids{2}), open(sentence_piece().value("tokenizer.ggml.eot_token_id", uint32_t{2}))->ends());
  EXPECT_EQ((Ids{2, 1}), open(sentence_piece()
                                  .value("tokenizer.ggml.eot_token_id", uint32_t{1})
                                  .value("tokenizer.ggml.eom_token_id", uint32_t{100000}))
                             ->ends());
}

TEST(GgufTokenizer, ScoresDecideAndTiesGoLeft) {
  const auto tokenizer = open(sentence_piece());
  EXPECT_EQ((Ids{7}), tokenizer->encode("b"));
  EXPECT_EQ((Ids{3, 6, 5}), tokenizer->encode("aab"));  // "aa" and "ab" score alike
  EXPECT_EQ((Ids{3, 9}), tokenizer->encode("abb"));
  EXPECT_EQ((Ids{3, 4, 7}), tokenizer->encode("a b"));
  EXPECT_EQ((Ids{3, 10 + 0xC3, 10 + 0x9F}), tokenizer->encode("\xC3\x9F"));
  EXPECT_EQ((Ids{3, 4, 2, 7}), tokenizer->encode("a</s>b"));
  EXPECT_EQ(Ids{}, tokenizer->encode(""));
  EXPECT_EQ("a b\xC3\x9F", tokenizer->decode(tokenizer->encode("a b\xC3\x9F")));
}

TEST(GgufTokenizer, PrefixSpaceMayBeTurnedOff) {
  const auto tokenizer = open(sentence_piece().value("tokenizer.ggml.add_space_prefix", false));
  EXPECT_EQ((Ids{5}), tokenizer->encode("b"));
  EXPECT_EQ(" b", tokenizer->decode(Ids{7}));
}

TEST(GgufTokenizer, WhatIsWrongIsNamed) {
  GgufBuilder unigram;
  unigram.value("tokenizer.ggml.model", "t5");
  EXPECT_EQ(ExitCode::kConfig, refusal(unigram, "\"t5\""));
  GgufBuilder without_merges;
  without_merges.value("tokenizer.ggml.model", "gpt2");
  without_merges.array("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
  EXPECT_EQ(ExitCode::kData, refusal(without_merges, "merges"));
  GgufBuilder short_scores;
  short_scores.value("tokenizer.ggml.model", "llama");
  short_scores.array("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
  short_scores.array("tokenizer.ggml.scores", std::vector<float>{1});
  EXPECT_EQ(ExitCode::kData, refusal(short_scores, "1 scores"));
}

TEST(OpenTokenizer, VocabularyOfLlama2cIsFoundBesideTheModel) {
  const TempDir folder;
  testing::write_text(folder.file("model.bin"), "weights");
  const auto code_of = [](const std::string& model, const std::string& tokenizer) {
    return testing::code_of([&] { (void)models::open_tokenizer(model, tokenizer); });
  };
  EXPECT_EQ(ExitCode::kConfig, code_of(folder.file("model.bin"), ""));
  EXPECT_EQ(ExitCode::kIo, code_of(folder.file("model.bin"), folder.file("none.bin")));
  testing::write_text(folder.file("tok.bin"), std::string("\x07\0\0\0\0\0\0\0\x09\0\0\0abc", 15));
  EXPECT_EQ(ExitCode::kData, code_of(folder.file("model.bin"), ""));
}

}  // namespace
}  // namespace orthant
