#include "models/tokenizer/hf_tokenizer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/core/error.h"
#include "tests/support/code_of.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_tokenizers.h"

namespace orthant {
namespace {

using boost::json::parse;
using ::testing::HasSubstr;
using testing::TempDir;
using testing::TinyTokenizerJson;
using testing::write_text;
using Ids = std::vector<int32_t>;

const std::string kGpt2Space = "\xC4\xA0";      // a space in the byte alphabet
const std::string kSpaceMark = "\xE2\x96\x81";  // and in SentencePiece vocabularies

TinyTokenizerJson byte_level() {
  TinyTokenizerJson json;
  json.tokens = {"a", "b", "c", kGpt2Space, "1", "ab", kGpt2Space + "ab", "abc", "<|end|>"};
  json.merges = {"a b", boost::json::array{kGpt2Space, "ab"}, "ab c"};
  json.add("<|end|>", 8);
  json.add("<|x|>", 9);
  json.pre_tokenizer = parse(R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":true})");
  return json;
}

TinyTokenizerJson sentence_piece() {
  TinyTokenizerJson json;
  json.tokens = {"<unk>", "<s>", "</s>"};
  for (int byte = 0; byte < 256; ++byte) json.tokens.push_back(fmt::format("<0x{:02X}>", byte));
  for (const std::string& token :
       {kSpaceMark, std::string("a"), std::string("b"), kSpaceMark + "a", std::string("ab")}) {
    json.tokens.push_back(token);
  }
  json.merges = {kSpaceMark + " a", "a b"};
  for (int id = 0; id < 3; ++id) json.add(json.tokens[static_cast<size_t>(id)], id);
  json.model_options = {{"byte_fallback", true}, {"unk_token", "<unk>"}, {"fuse_unk", true}};
  json.normalizer = parse(R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},)"
                          R"({"type":"Replace","pattern":{"String":" "},"content":"▁"}]})");
  json.decoder = parse(
      R"({"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})");
  return json;
}

std::unique_ptr<models::Tokenizer> open(const TempDir& folder, const TinyTokenizerJson& json) {
  write_text(folder.file("tokenizer.json"), json.text());
  return models::open_tokenizer(folder.path().string());
}

ExitCode refusal(const TempDir& folder, const std::string& text, const std::string& part) {
  write_text(folder.file("tokenizer.json"), text);
  std::string message;
  const ExitCode code =
      testing::code_of([&] { (void)models::open_hf_tokenizer(folder.file("tokenizer.json")); }, &message);
  EXPECT_THAT(message, HasSubstr(part));
  return code;
}

TEST(HfTokenizer, ByteLevelMergesInOrderOfRank) {
  const TempDir folder;
  const auto tokenizer = open(folder, byte_level());
  EXPECT_EQ((Ids{7, 6, 2}), tokenizer->encode("abc abc"));  // the space is merged before the c
  EXPECT_EQ((Ids{5, 8, 9, 0}), tokenizer->encode("ab<|end|><|x|>a"));
  EXPECT_EQ("abc ab<|end|><|x|>", tokenizer->decode(Ids{7, 6, 8, 9}));
  EXPECT_EQ("", tokenizer->decode(Ids{-1, 10, 1000}));
  EXPECT_EQ(Ids{}, tokenizer->encode(""));
  EXPECT_EQ(10, tokenizer->vocabulary());
}

TEST(HfTokenizer, BytesWithoutTokenAreLeftOut) {
  const TempDir folder;
  EXPECT_EQ((Ids{5, 5}), open(folder, byte_level())->encode("zabqqab\xC3\xA9"));
}

TEST(HfTokenizer, IgnoreMergesTakesWholePieces) {
  const TempDir folder;
  TinyTokenizerJson json = byte_level();
  json.tokens.push_back("<|x|>");
  json.tokens.push_back("cab");
  EXPECT_EQ((Ids{2, 5}), open(folder, json)->encode("cab"));
  json.model_options["ignore_merges"] = true;
  EXPECT_EQ((Ids{10}), open(folder, json)->encode("cab"));
}

TEST(HfTokenizer, SplitsAndDigitsCutBeforeMerging) {
  const TempDir folder;
  TinyTokenizerJson json = byte_level();
  json.tokens.push_back("<|x|>");
  json.tokens.push_back("11");
  json.merges.push_back("1 1");
  EXPECT_EQ((Ids{10}), open(folder, json)->encode("11"));
  json.pre_tokenizer =
      parse(R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},)"
            R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":true}]})");
  EXPECT_EQ((Ids{4, 4}), open(folder, json)->encode("11"));
  json.pre_tokenizer = parse(
      R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{N}|."},"behavior":"Isolated",)"
      R"("invert":false},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})");
  EXPECT_EQ((Ids{4, 4, 0, 1}), open(folder, json)->encode("11ab"));
}

TEST(HfTokenizer, SpecialSettingsComeFromTheFilesBeside) {
  const TempDir folder;
  write_text(folder.file("config.json"), R"({"eos_token_id":[8,9],"bos_token_id":9})");
  TinyTokenizerJson json = byte_level();
  EXPECT_EQ(8, open(folder, json)->eos());
  EXPECT_EQ(9, open(folder, json)->bos());
  EXPECT_EQ((Ids{8, 9}), open(folder, json)->ends());
  EXPECT_FALSE(open(folder, json)->adds_bos());
  json.post_processor =
      parse(R"({"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing",)"
            R"("single":[{"SpecialToken":{"id":"<|x|>","type_id":0}},{"Sequence":{"id":"A"}}]}]})");
  EXPECT_TRUE(open(folder, json)->adds_bos());
  write_text(
      folder.file("tokenizer_config.json"),
      R"({"bos_token":{"content":"<|end|>"},"eos_token":"<|x|>","add_bos_token":false,)"
      R"("chat_template":[{"name":"tool_use","template":"?"},{"name":"default","template":"<|im_start|>"}]})");
  const auto tokenizer = open(folder, json);
  EXPECT_EQ(8, tokenizer->bos());
  EXPECT_EQ(9, tokenizer->eos());
  EXPECT_EQ((Ids{9, 8}), tokenizer->ends());
  EXPECT_FALSE(tokenizer->adds_bos());
  const std::vector<models::ChatMessage> messages = {{"user", "a"}};
  EXPECT_EQ("<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n",
            tokenizer->apply_chat_template(messages));
}

TEST(HfTokenizer, AGenerationEndsWhereItsOwnFileSays) {
  const TempDir folder;
  write_text(folder.file("config.json"), R"({"eos_token_id":[8,5]})");
  EXPECT_EQ((Ids{8, 5}), open(folder, byte_level())->ends());
  write_text(folder.file("generation_config.json"), R"({"eos_token_id":[3,77,8,"x"]})");
  EXPECT_EQ((Ids{8, 3}), open(folder, byte_level())->ends());
  write_text(folder.file("generation_config.json"), R"({"eos_token_id":4})");
  EXPECT_EQ((Ids{8, 4}), open(folder, byte_level())->ends());
}

TEST(HfTokenizer, SpecialTokensAreNoPlainText) {
  const TempDir folder;
  TinyTokenizerJson json = byte_level();
  json.added.back().get_object()["special"] = false;
  EXPECT_EQ("abc<|x|> ab", models::plain_text(*open(folder, json), Ids{7, 8, 9, 6}));
}

TEST(HfTokenizer, SentencePieceFallsBackToBytes) {
  const TempDir folder;
  const auto tokenizer = open(folder, sentence_piece());
  EXPECT_EQ((Ids{262, 261}), tokenizer->encode("ab"));  // the space mark merges first
  EXPECT_EQ((Ids{262, 261, 262}), tokenizer->encode("ab a"));
  EXPECT_EQ((Ids{259, 3 + 0xC3, 3 + 0xA9}), tokenizer->encode("\xC3\xA9"));
  EXPECT_EQ((Ids{259, 3 + 0x0A, 263}), tokenizer->encode("\nab"));
  EXPECT_EQ((Ids{262, 2, 262}), tokenizer->encode("a</s>a"));
  EXPECT_EQ("\xC3\xA9 ab", tokenizer->decode(Ids{259, 3 + 0xC3, 3 + 0xA9, 262, 261}));
}

TEST(HfTokenizer, MetaspaceSchemes) {
  const TempDir folder;
  TinyTokenizerJson json = sentence_piece();
  json.normalizer = nullptr;
  json.pre_tokenizer =
      parse(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false})");
  EXPECT_EQ((Ids{262, 2, 260}), open(folder, json)->encode("a</s>a"));
  EXPECT_EQ((Ids{262}), open(folder, json)->encode(" a"));
  json.pre_tokenizer =
      parse(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":true})");
  EXPECT_EQ((Ids{260, 262}), open(folder, json)->encode("a a"));
}

TEST(HfTokenizer, WhatIsNotSupportedIsNamed) {
  const TempDir folder;
  TinyTokenizerJson json = byte_level();
  json.normalizer = parse(R"({"type":"NFC"})");
  EXPECT_EQ(ExitCode::kDone, refusal(folder, json.text(), ""));
  json.normalizer = parse(R"({"type":"Lowercase"})");
  EXPECT_EQ(ExitCode::kConfig, refusal(folder, json.text(), "Lowercase"));
  json = byte_level();
  json.pre_tokenizer = parse(R"({"type":"Whitespace"})");
  EXPECT_EQ(ExitCode::kConfig, refusal(folder, json.text(), "Whitespace"));
  EXPECT_EQ(ExitCode::kConfig, refusal(folder, R"({"model":{"type":"Unigram","vocab":[]}})", "Unigram"));
}

TEST(HfTokenizer, DamagedFilesAreErrorsThatNameThePlace) {
  const TempDir folder;
  const std::string whole = byte_level().text();
  for (size_t size = 0; size < whole.size(); size += 13) {
    ASSERT_EQ(ExitCode::kData, refusal(folder, whole.substr(0, size), "tokenizer.json")) << size;
  }
  EXPECT_EQ(ExitCode::kData, refusal(folder, "{}", "model"));
  TinyTokenizerJson json = byte_level();
  json.merges.push_back("a z");
  EXPECT_EQ(ExitCode::kData, refusal(folder, json.text(), "merge 3"));
  EXPECT_THROW((void)open(folder, byte_level())->encode("a\xFF"), Error);
}

}  // namespace
}  // namespace orthant
