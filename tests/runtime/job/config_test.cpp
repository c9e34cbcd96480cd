#include "runtime/job/config.h"

#include <gtest/gtest.h>

#include <fstream>

#include "launch/config.pb.h"
#include "runtime/job/arguments.h"
#include "runtime/job/config.pb.h"
#include "runtime/job/nearest_name.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

std::shared_ptr<const ConfigSchema> train_schema() {
  return std::make_shared<const ConfigSchema>("train", *launch::Train::descriptor(), Common::descriptor());
}

Config parse(const std::vector<std::string>& arguments) {
  const auto schema = train_schema();
  return make_config(schema, parse_arguments(*schema, arguments), {});
}

// The exit code and message of what `work` throws.
template <typename Work>
std::pair<ExitCode, std::string> failure(Work work) {
  try {
    work();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {ExitCode::kDone, ""};
}

std::string write(const testing::TempDir& folder, const std::string& text) {
  const std::string path = folder.file("config");
  std::ofstream(path) << text;
  return path;
}

TEST(Config, FlagsWinOverFileOverDefaults) {
  const testing::TempDir folder;
  const std::string path =
      write(folder, "seed: 7 sae { latents: 100 k: 5 } source { exclude { positions: [1, 2] } }");
  const Config config = parse({"--config=" + path, "--sae.k", "9", "--json",
                               "--source.exclude.positions=4,-1", "--source.exclude.positions=6"});
  const auto train = config.as<launch::Train>();
  EXPECT_EQ(config.as<Common>().seed(), 7u);
  EXPECT_TRUE(config.as<Common>().json());
  EXPECT_EQ(train.sae().latents(), 100);
  EXPECT_EQ(train.sae().k(), 9);
  EXPECT_EQ(train.sae().preset(), "ortsae");
  EXPECT_TRUE(train.sae().has_preset());
  EXPECT_FALSE(train.sae().has_auxk_alpha());
  ASSERT_EQ(train.source().exclude().positions_size(), 3);
  EXPECT_EQ(train.source().exclude().positions(0), 4);
  EXPECT_EQ(train.source().exclude().positions(2), 6);
}

TEST(Config, AGroupWhosePresenceMeansSomethingStaysAbsent) {
  EXPECT_FALSE(parse({}).as<launch::Train>().source().has_synthetic());
  const auto given = parse({"--source.synthetic.l0=3"}).as<launch::Train>().source();
  EXPECT_TRUE(given.has_synthetic());
  EXPECT_EQ(given.synthetic().d_model(), 100);
}

TEST(Config, TextAndJsonReadBackAsTheSameJob) {
  const Config config = parse({"--sae.k=9", "--train.lr=0.0003", "--source.store=a,b\"c", "--threads=3"});
  for (const std::string& text : {config.text(), config.json()}) {
    Config again = config.with_nothing_set();
    again.merge_text(text, "stored");
    again.resolve();
    EXPECT_EQ(again.key(), config.key());
    EXPECT_TRUE(again.differences_from(config).empty());
    EXPECT_EQ(again.text(), config.text());
  }
}

TEST(Config, ExecutionFieldsAreNoPartOfTheJob) {
  const Config one = parse({"--threads=1", "--mesh.data=2", "--checkpoint.keep=9", "--fresh", "--out=a"});
  const Config two = parse({"--threads=2", "--progress=none", "--out=b"});
  EXPECT_EQ(one.key(), two.key());
  EXPECT_TRUE(one.differences_from(two).empty());
  EXPECT_NE(one.key(), parse({"--seed=1"}).key());
}

TEST(Config, DifferencesNameFieldsAndAllowRaising) {
  const Config before = parse({"--train.tokens=1000", "--sae.k=8"});
  EXPECT_TRUE(parse({"--train.tokens=2000", "--sae.k=8"}).differences_from(before).empty());
  const auto lowered = parse({"--train.tokens=500", "--sae.k=9", "--train.lr=1"}).differences_from(before);
  ASSERT_EQ(lowered.size(), 3u);
  EXPECT_EQ(lowered[0].name, "sae.k");
  EXPECT_EQ(lowered[0].before, "8");
  EXPECT_EQ(lowered[0].after, "9");
  EXPECT_EQ(lowered[1].name, "train.lr");
  EXPECT_EQ(lowered[1].before, "unset");
  EXPECT_EQ(lowered[2].name, "train.tokens");
}

TEST(Config, UnknownFieldsSuggestTheNearest) {
  const testing::TempDir folder;
  const auto expect_hint = [](const auto& work, const std::string& hint) {
    const auto [code, message] = failure(work);
    EXPECT_EQ(code, ExitCode::kUsage);
    EXPECT_NE(message.find(hint), std::string::npos) << message;
  };
  expect_hint([] { parse({"--sae.latnts=3"}); }, "--sae.latents?");
  expect_hint([] { parse({"--latents=3"}); }, "--sae.latents?");
  expect_hint([] { parse({"--sae=3"}); }, "group");
  expect_hint([] { parse({"--seed"}); }, "needs a value");
  expect_hint([] { parse({"input"}); }, "unexpected argument 'input'");
  const std::string text = write(folder, "seed: 1\nsae { latnts: 3 }");
  expect_hint([&] { parse({"--config=" + text}); }, "config:2:");
  expect_hint([&] { parse({"--config=" + text}); }, "--sae.latents?");
  const std::string json = write(folder, R"({"sae": {"latnts": 3}})");
  expect_hint([&] { parse({"--config=" + json}); }, "--sae.latents?");
}

TEST(Config, BadValuesNameFieldValueAndRange) {
  const testing::TempDir folder;
  const auto expect_refused = [](const std::vector<std::string>& arguments,
                                 const std::vector<std::string>& words) {
    const auto [code, message] = failure([&] { parse(arguments); });
    EXPECT_EQ(code, ExitCode::kConfig) << message;
    for (const std::string& word : words) EXPECT_NE(message.find(word), std::string::npos) << message;
  };
  expect_refused({"--sae.k=0"}, {"sae.k", "'0'", "at least 1"});
  expect_refused({"--sae.k=1.5"}, {"sae.k", "'1.5'", "int"});
  expect_refused({"--sae.k=99999999999999999999"}, {"sae.k"});
  expect_refused({"--source.holdout=0.95"}, {"source.holdout", "0 to 0.9"});
  expect_refused({"--train.lr=nan"}, {"train.lr", "'nan'"});
  expect_refused({"--device=tpu"}, {"device", "'tpu'", "auto, cpu, cuda"});
  expect_refused({"--json=maybe"}, {"json", "'maybe'"});
  expect_refused({"--config=" + write(folder, "sae { k: -3 }")}, {"sae.k", "'-3'"});
  expect_refused({"--config=" + write(folder, "sae { k: }")}, {"config:1:"});
}

TEST(Config, AMissingFileIsNamed) {
  const auto [code, message] = failure([] { parse({"--config=/nowhere/at/all"}); });
  EXPECT_EQ(code, ExitCode::kIo);
  EXPECT_NE(message.find("/nowhere/at/all"), std::string::npos);
}

TEST(NearestName, CountsEditsAndSwaps) {
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("lantets", "latents"), 2);
  EXPECT_EQ(edit_distance("ab", "ba"), 1);
  const std::vector<std::string> names = {"train", "evaluate"};
  EXPECT_EQ(nearest_name("trian", names), "train");
  EXPECT_EQ(nearest_name("xyzzyx", names), "");
}

}  // namespace
}  // namespace orthant
