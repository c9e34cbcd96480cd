// Texts with ill-formed UTF-8, without content or without form: what the program makes of them and says.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/storage/npy.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"
#include "tests/support/tiny_tokenizers.h"

namespace orthant {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using testing::ended;
using testing::Outcome;
using testing::refused;

const std::string kReplaced = "ill-formed UTF-8 sequences were replaced by U+FFFD";

class TextInput : public ::testing::Test {
 protected:
  void SetUp() override { testing::write_tiny_gguf(model_); }
  std::string write(const std::string& name, const std::string& content) {
    testing::write_text(folder_.file(name), content);
    return folder_.file(name);
  }
  [[nodiscard]] Outcome run(const std::string& verb) const {
    return testing::run_orthant(verb + " --progress=none --json --model=" + model_);
  }
  [[nodiscard]] Outcome harvest(const std::string& text, const std::string& more = "") const {
    return run("harvest --hook=blocks.0.hook_resid_post --context=8 --text=" + text +
               " --out=" + folder_.file("store") + " --fresh " + more);
  }
  static json::object result_of(const Outcome& outcome) {
    EXPECT_TRUE(ended(outcome, 0));
    return outcome.code == 0 ? json::parse(outcome.out).as_object() : json::object{};
  }

  testing::TempDir folder_;
  std::string model_ = folder_.file("tiny.gguf");
};

TEST_F(TextInput, HarvestReplacesAndCountsIllFormedBytesOfAllDocuments) {
  const std::string plain = write("plain.txt", "abc\xff\n\ndef\n\ng\xc3(\xe2\x82");
  const Outcome outcome = harvest(plain, "--text_split=paragraph");
  const json::object result = result_of(outcome);
  EXPECT_EQ(result.at("invalid_utf8").to_number<int>(), 3);
  EXPECT_EQ(result.at("documents").to_number<int>(), 3);
  EXPECT_NE(outcome.err.find(plain + ": 3 " + kReplaced), std::string::npos) << outcome.err;

  const std::string lines =
      write("lines.jsonl", "{\"text\":\"ab\xff\"}\n{\"text\":\"c\"}\n{\"text\":\"\xc3\"}\n");
  const Outcome of_lines = harvest(lines);
  EXPECT_EQ(result_of(of_lines).at("invalid_utf8").to_number<int>(), 2);
  EXPECT_NE(of_lines.err.find(lines + ": 2 " + kReplaced), std::string::npos) << of_lines.err;

  const Outcome sound = harvest(write("sound.txt", "abc"));
  EXPECT_EQ(result_of(sound).at("invalid_utf8").to_number<int>(), 0);
  EXPECT_EQ(sound.err.find("UTF-8"), std::string::npos) << sound.err;
}

TEST_F(TextInput, EveryVerbThatReadsTextCountsWhatItReplaces) {
  const std::string text = write("t.txt", "abc\xff" + std::string(40, 'c'));
  const std::string strings = write("s.jsonl", "\"ab\xff\"\n\"\xc3\"\n");
  const std::string pairs = write("p.jsonl", "{\"context\":\"c\xff\",\"continuation\":\"d\"}\n");
  const auto warned = [&](const std::string& verb, const std::string& of) {
    const Outcome outcome = run(verb);
    if (outcome.code != 0) return ended(outcome, 0);
    if (outcome.err.find(of + " " + kReplaced) != std::string::npos) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << outcome.err;
  };
  EXPECT_TRUE(warned("lm tokenize --text_file=" + text, text + ": 1"));
  EXPECT_TRUE(warned("lm tokenize --jsonl=" + strings, strings + ": 2"));
  EXPECT_TRUE(warned("lm perplexity --window=8 --text_file=" + text, text + ": 1"));
  EXPECT_TRUE(warned("lm score --pairs=" + pairs, pairs + ": 1"));
  EXPECT_TRUE(warned("lm generate --max_new_tokens=2 --prompt=$(printf 'ab\\377')", "--prompt: 1"));
  const Outcome live = testing::run_orthant(
      "train --source.model=" + model_ + " --source.text=" + text +
      " --source.hook=blocks.0.hook_resid_post --source.context=16 --sae.latents=16 --sae.k=2 "
      "--train.batch_tokens=8 --train.tokens=16 --progress=none --log_level=warning");
  ASSERT_TRUE(ended(live, 0));
  EXPECT_NE(live.err.find(text + ": 1 " + kReplaced), std::string::npos) << live.err;
}

TEST_F(TextInput, EmptyDocumentsAreSkippedAndCounted) {
  const std::string lines =
      write("lines.jsonl", "{\"text\":\"ab\"}\n\n{\"text\":\"\"}\n{\"text\":\"cd\"}\n{\"text\":\"\"}\n");
  const json::object result = result_of(harvest(lines));
  EXPECT_EQ(result.at("documents").to_number<int>(), 4);
  EXPECT_EQ(result.at("empty_documents").to_number<int>(), 2);
  EXPECT_EQ(result.at("tokens").to_number<int>(), 3);

  fs::create_directory(folder_.file("texts"));
  write("texts/a.txt", "abc");
  write("texts/b.txt", "");
  EXPECT_EQ(result_of(harvest(folder_.file("texts"))).at("empty_documents").to_number<int>(), 1);
}

TEST_F(TextInput, ATextWithoutTokensIsRefused) {
  const std::string empty = write("empty.txt", "");
  EXPECT_TRUE(refused(harvest(empty), 65, empty, "no tokens", "1 documents are empty", "another text"));
  EXPECT_TRUE(refused(harvest(write("empty.jsonl", "\n\n")), 65, "empty.jsonl", "no tokens"));
  EXPECT_TRUE(refused(run("lm perplexity --window=8 --text_file=" + empty), 78, "no whole window", "0 tokens",
                      "a longer text"));
  EXPECT_TRUE(refused(run("lm score --pairs=" + write("pairs.jsonl", R"({"context":"","continuation":""})")),
                      65, "pairs.jsonl, line 1", "no token"));
  EXPECT_TRUE(refused(run("lm generate --prompt=''"), 78, "prompt"));
  EXPECT_EQ(result_of(run("lm tokenize --text_file=" + empty)).at("ids").as_array().size(), 0u);
}

TEST_F(TextInput, MissingTextsAreNamed) {
  fs::create_directory(folder_.file("nothing"));
  EXPECT_TRUE(refused(harvest("nowhere.txt"), 74, "no text at nowhere.txt", "No such file", ".jsonl"));
  EXPECT_TRUE(refused(harvest(folder_.file("nothing")), 78, "no text in", "no .txt and no .jsonl"));
  EXPECT_TRUE(refused(harvest("nowhere.npy"), 74, "nowhere.npy", "No such file", "Check the path"));
  for (const std::string verb :
       {"lm perplexity --text_file=nowhere.txt", "lm tokenize --text_file=nowhere.txt",
        "lm tokenize --jsonl=nowhere.txt", "lm score --pairs=nowhere.txt"}) {
    EXPECT_TRUE(refused(run(verb), 74, "nowhere.txt", "No such file", "Check the path")) << verb;
  }
  EXPECT_TRUE(refused(run("lm tokenize --text_file=" + folder_.file("nothing")), 74, "nothing", "no file"));
}

// The others do not wait for it until their deadline.
TEST_F(TextInput, WhatOneRankAloneCannotReadEndsAllRanks) {
  for (const char* rank : {"rank0", "rank1"}) fs::create_directory(folder_.file(rank));
  write("rank0/text.txt", "abcabcabcabc");
  write("rank0/pairs.jsonl", R"({"context":"ab","continuation":"c"})");
  for (const char* verb : {"lm perplexity --window=4 --text_file=text.txt", "lm score --pairs=pairs.jsonl"}) {
    const Outcome outcome = testing::run_command(fmt::format(
        "exec mpirun -n 2 sh -c 'cd {}/rank$OMPI_COMM_WORLD_RANK && exec {} {} --model={} --progress=none'",
        folder_.path().string(), ORTHANT_PROGRAM, verb, model_));
    EXPECT_TRUE(refused(outcome, 74, verb[3] == 'p' ? "text.txt" : "pairs.jsonl"));
  }
}

TEST_F(TextInput, BrokenLinesAreNamedByFileAndNumber) {
  EXPECT_TRUE(refused(harvest(write("a.jsonl", "{\"text\":\"a\"}\n{\"text\":")), 65, "a.jsonl, line 2"));
  EXPECT_TRUE(refused(harvest(write("b.jsonl", "{\"other\":\"a\"}\n")), 65, "b.jsonl, line 1",
                      "no field \"text\"", "--text_field"));
  EXPECT_TRUE(refused(run("lm tokenize --jsonl=" + write("c.jsonl", "\"a\"\n7\n")), 65, "c.jsonl, line 2",
                      "no JSON string", "Mend the line"));
  EXPECT_TRUE(refused(run("lm score --pairs=" + write("d.jsonl", "{\"context\":\"a\"}\n")), 65,
                      "d.jsonl, line 1", "continuation"));
}

TEST_F(TextInput, TokenIdsOutsideTheVocabularyAreRefused) {
  const std::vector<int32_t> ids = {1, 2, 3, 11};
  write_npy(folder_.file("ids.npy"), Dtype::kI32, {2, 2}, ids.data());
  EXPECT_TRUE(refused(harvest(folder_.file("ids.npy")), 65, "token id 11", "11 tokens"));
}

}  // namespace
}  // namespace orthant
