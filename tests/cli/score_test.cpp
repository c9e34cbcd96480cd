// `orthant score` from outside: any number of ranks, kills, what it refuses. On a small real model.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "runtime/comm/self.h"
#include "runtime/core/rng.h"
#include "runtime/storage/safetensors.h"
#include "sae/dictionary/dictionary_file.h"
#include "tests/support/program.h"
#include "tests/support/shared_files.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

constexpr const char* kModel = "data/models/stories260K/stories260K.bin";
constexpr int64_t kWidth = 64;  // of stories260K
constexpr int64_t kLatents = 200;

void write(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

void write_dictionary(const std::string& path, const std::map<std::string, std::string>& metadata) {
  Memory memory;
  Stream stream;
  sae::Conventions c;
  c.architecture = sae::Architecture::kStandard;
  c.latents = kLatents;
  sae::Dictionary d = sae::allocate_dictionary(c, kWidth, {0, kLatents}, memory);
  const auto fill = [](std::span<float> values, uint32_t stream_number) {
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = random_normal(2, Purpose::kTest, stream_number, i);
    }
  };
  fill(d.encoder.view().span(), 1);
  fill(d.decoder.view().span(), 2);
  fill(d.encoder_bias.view().span(), 3);
  fill(d.decoder_bias.view().span(), 4);
  const auto self = make_self_communicator();
  sae::write_dictionary_file(d, metadata, path, *self, true, stream);
}

struct Scores {
  std::vector<float> scores;
  std::vector<int64_t> counts, max_row;
};

Scores read_scores(const std::string& run) {
  const SafetensorsReader file(run + "/scores.safetensors");
  Scores found;
  found.scores.resize(kLatents);
  file.read(file.entry("scores"), found.scores);
  found.counts = file.read_integers(file.entry("counts"));
  found.max_row = file.read_integers(file.entry("max_row"));
  return found;
}

boost::json::object read_json(const std::string& path) {
  return boost::json::parse(testing::content_of(path)).as_object();
}

class Score : public ::testing::Test {
 protected:
  void SetUp() override {
    ORTHANT_NEEDS_SHARED(kModel);
    std::string text;
    for (int d = 0; d < 60; ++d) {
      text += fmt::format(
          "{{\"text\":\"Once upon a time, there was a little girl named Lily. She had {} red balls and a big "
          "dog. But "
          "the dog was sad, so Lily gave him {} red apples.\"}}\n",
          d, 7 * d);
    }
    write(dir_.file("text.jsonl"), text);
    write(dir_.file("words.textproto"),
          "group { name: \"lily\" form: \"Lily\" }\ngroup { name: \"red\" form: \"red\" }\n"
          "group { name: \"big dog\" form: \"big dog\" }\n");
    write_dictionary(dir_.file("sae.safetensors"), {});
  }
  [[nodiscard]] std::string command(const std::string& out, const std::string& more = "") const {
    return fmt::format(
        "{} score --model={} --text={} --hook=blocks.2.hook_resid_post --sae={} --vocabulary={} --context=64 "
        "--block_tokens=200 --top=20 --threads=1 --progress=none --out={} {}",
        ORTHANT_PROGRAM, (testing::shared_folder() / kModel).string(), dir_.file("text.jsonl"),
        dir_.file("sae.safetensors"), dir_.file("words.textproto"), dir_.file(out), more);
  }
  void expect_same(const std::string& a, const std::string& b) const {
    const Scores x = read_scores(dir_.file(a)), y = read_scores(dir_.file(b));
    EXPECT_EQ(x.counts, y.counts);
    EXPECT_EQ(x.max_row, y.max_row);
    for (size_t i = 0; i < x.scores.size(); ++i) {
      EXPECT_NEAR(x.scores[i], y.scores[i], 1e-6 * std::abs(y.scores[i]) + 1e-12);
    }
    const auto of = [&](const std::string& run) {
      std::vector<int64_t> latents;
      std::vector<double> scores;
      const auto result = read_json(dir_.file(run + "/result.json"));
      for (const auto& feature : result.at("features").as_array()) {
        latents.push_back(feature.at("latent").as_int64());
        scores.push_back(feature.at("score").to_number<double>());
      }
      return std::pair(latents, scores);
    };
    const auto [latents_a, scores_a] = of(a);
    const auto [latents_b, scores_b] = of(b);
    EXPECT_EQ(latents_a, latents_b);
    for (size_t i = 0; i < scores_a.size(); ++i) {
      EXPECT_NEAR(scores_a[i], scores_b[i], 1e-9 * std::abs(scores_b[i]));
    }
  }
  testing::TempDir dir_;
};

TEST_F(Score, IsTheSameOnAnyNumberOfRanksAndRunsTheModelOnce) {
  ASSERT_EQ(testing::run_command(command("one")).code, 0);
  const auto result = read_json(dir_.file("one/result.json"));
  EXPECT_EQ(result.at("model_passes").to_number<double>(), 1.0);
  EXPECT_EQ(result.at("features").as_array().size(), 20u);
  EXPECT_GT(result.at("word_tokens").at("big dog").as_int64(), 0);
  for (const int ranks : {2, 3, 4}) {
    const std::string out = fmt::format("ranks{}", ranks);
    ASSERT_EQ(testing::run_command(fmt::format("mpirun -n {} ", ranks) + command(out)).code, 0);
    expect_same(out, "one");
    EXPECT_EQ(read_json(dir_.file(out + "/result.json")).at("model_passes").to_number<double>(), 1.0);
    EXPECT_EQ(testing::content_of(dir_.file(out + "/contexts.jsonl")),
              testing::content_of(dir_.file("one/contexts.jsonl")));
  }
  ASSERT_EQ(testing::run_command("mpirun -n 2 " + command("shards", "--mesh.dictionary=2")).code, 0);
  expect_same("shards", "one");
}

TEST_F(Score, GoesOnAfterBeingKilledOnAnotherNumberOfRanks) {
  ASSERT_EQ(testing::run_command(command("one")).code, 0);
  const std::string every_block = "--checkpoint.every_steps=1";
  for (int kill = 2; kill <= 4; ++kill) {
    const std::string fault = fmt::format("ORTHANT_FAULT=score.block:0:{}:kill ", kill);
    ASSERT_NE(testing::run_command(fault + "mpirun -n " + std::to_string(kill - 1) + " " +
                                   command("killed", every_block))
                  .code,
              0);
    ASSERT_FALSE(std::filesystem::exists(dir_.file("killed/result.json")));
  }
  ASSERT_EQ(testing::run_command(command("killed", every_block)).code, 0);
  const auto run = read_json(dir_.file("killed/run.json"));
  int64_t last_start = 0;
  for (const auto& attempt : run.at("attempts").as_array()) {
    const int64_t start = attempt.at("start_block").as_int64();
    EXPECT_GE(start, last_start);
    last_start = start;
  }
  EXPECT_GT(last_start, 0);
  expect_same("killed", "one");
  EXPECT_EQ(testing::content_of(dir_.file("killed/contexts.jsonl")),
            testing::content_of(dir_.file("one/contexts.jsonl")));
}

TEST_F(Score, AStoreScoresAsTheTextItWasHarvestedFrom) {
  const std::string model = (testing::shared_folder() / kModel).string();
  ASSERT_EQ(
      testing::run_command(fmt::format("{} harvest --model={} --text={} --hook=blocks.2.hook_resid_post "
                                       "--context=64 --dtype=f32 --out={}",
                                       ORTHANT_PROGRAM, model, dir_.file("text.jsonl"), dir_.file("store")))
          .code,
      0);
  ASSERT_EQ(testing::run_command(command("live")).code, 0);
  ASSERT_EQ(
      testing::run_command(
          fmt::format(
              "{} score --model={} --store={} --sae={} --vocabulary={} --block_tokens=200 --top=20 --out={}",
              ORTHANT_PROGRAM, model, dir_.file("store"), dir_.file("sae.safetensors"),
              dir_.file("words.textproto"), dir_.file("stored")))
          .code,
      0);
  expect_same("stored", "live");
}

TEST_F(Score, ContextsHoldTokensHistogramAndLogits) {
  ASSERT_EQ(
      testing::run_command(command("one", "--contexts.latents=3 --contexts.top=2 --contexts.logits=4")).code,
      0);
  std::ifstream lines(dir_.file("one/contexts.jsonl"));
  std::string line;
  int count = 0;
  while (std::getline(lines, line)) {
    const auto found = boost::json::parse(line).as_object();
    EXPECT_EQ(found.at("top_logits").as_array().size(), 4u);
    EXPECT_LE(found.at("contexts").as_array().size(), 2u);
    int64_t counted = 0;
    for (const auto& bin : found.at("histogram").at("counts").as_array()) counted += bin.as_int64();
    EXPECT_GT(counted, 0);
    ++count;
  }
  EXPECT_EQ(count, 3);
}

TEST_F(Score, RefusesAVocabularyThatCannotBeScored) {
  const auto refused = [&](const std::string& words) {
    write(dir_.file("words.textproto"), words);
    const testing::Outcome outcome = testing::run_command(command("refused"));
    EXPECT_EQ(outcome.code, 78) << words << outcome.err;
    return outcome.err;
  };
  EXPECT_NE(refused("group { name: \"empty\" form: \"\" }").find("form '' of group 'empty' has no tokens"),
            std::string::npos);
  EXPECT_NE(refused("group { name: \"a\"\n  form \"x\" }").find("line 2"), std::string::npos);
  EXPECT_NE(refused("group { name: \"a\" }").find("no forms"), std::string::npos);
  EXPECT_NE(refused("group { form: \"x\" }").find("no name"), std::string::npos);
  EXPECT_NE(refused("group { name: \"a\" form: \"x\" } group { name: \"a\" form: \"y\" }").find("two groups"),
            std::string::npos);
  refused("");
}

TEST_F(Score, RefusesAHookThatTheDictionaryWasNotTrainedOn) {
  write_dictionary(dir_.file("sae.safetensors"), {{"hook_name", "blocks.1.hook_resid_post"}});
  const testing::Outcome refused = testing::run_command(command("other"));
  EXPECT_EQ(refused.code, 78);
  EXPECT_NE(refused.err.find("blocks.1.hook_resid_post"), std::string::npos);
  EXPECT_NE(refused.err.find("blocks.2.hook_resid_post"), std::string::npos);
  EXPECT_NE(refused.err.find("--force"), std::string::npos);
  const testing::Outcome forced = testing::run_command(command("other", "--force"));
  EXPECT_EQ(forced.code, 0);
  EXPECT_NE(forced.err.find("blocks.1.hook_resid_post"), std::string::npos);
}

TEST_F(Score, RefusesAStoreBesideATextAndAnEmptyText) {
  EXPECT_EQ(testing::run_command(command("both", "--store=" + dir_.file("store"))).code, 78);
  write(dir_.file("text.jsonl"), "");
  const testing::Outcome empty = testing::run_command(command("empty"));
  EXPECT_NE(empty.code, 0);
  EXPECT_FALSE(empty.err.empty());
}

}  // namespace
}  // namespace orthant
