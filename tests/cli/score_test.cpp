// `orthant score` from outside: any number of ranks, kills, what it refuses. On a small real model.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
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

TEST_F(Score, RunsTheModelOnceOverPackedRowsToo) {
  const std::string packed = "--pack --block_tokens=30";  // documents end within rows and blocks
  ASSERT_EQ(testing::run_command(command("one", packed)).code, 0);
  EXPECT_EQ(read_json(dir_.file("one/result.json")).at("model_passes").to_number<double>(), 1.0);
  ASSERT_EQ(testing::run_command("mpirun -n 3 " + command("three", packed)).code, 0);
  EXPECT_EQ(read_json(dir_.file("three/result.json")).at("model_passes").to_number<double>(), 1.0);
  expect_same("three", "one");
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

// Lines of a file of JSON lines.
std::vector<boost::json::object> read_lines(const std::string& path) {
  std::vector<boost::json::object> lines;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) lines.push_back(boost::json::parse(line).as_object());
  return lines;
}

TEST_F(Score, ContextsHoldExamplesOfEveryIntervalOfActivation) {
  ASSERT_EQ(testing::run_command(command("one",
                                         "--contexts.latents=3 --contexts.quantiles=4 "
                                         "--contexts.quantile_examples=2"))
                .code,
            0);
  for (const auto& line : read_lines(dir_.file("one/contexts.jsonl"))) {
    const auto& intervals = line.at("quantiles").as_array();
    ASSERT_EQ(intervals.size(), 4u);
    EXPECT_NEAR(intervals[0].at("high").to_number<double>(), line.at("max_activation").to_number<double>(),
                1e-4);
    double share = 0.0;
    for (const auto& interval : intervals) {
      share += interval.at("share").to_number<double>();
      for (const auto& context : interval.at("contexts").as_array()) {
        const auto peak = static_cast<size_t>(context.at("peak").as_int64());
        const double value = context.at("activations").as_array()[peak].to_number<double>();
        EXPECT_GT(value, interval.at("low").to_number<double>());
        EXPECT_LE(value, interval.at("high").to_number<double>());
      }
    }
    EXPECT_NEAR(share, line.at("density").to_number<double>(), 1e-9);
  }
}

class ScoreAgainstAContrast : public Score {
 protected:
  void SetUp() override {
    Score::SetUp();
    if (IsSkipped()) return;
    std::string text;
    for (int d = 0; d < 50; ++d) {
      text += fmt::format(
          "{{\"text\":\"The sun was hot and the {} birds sang in the tall tree. A man came and sat down to "
          "eat "
          "his bread and cheese by the water.\"}}\n",
          d);
    }
    write(dir_.file("contrast.jsonl"), text);
  }
  [[nodiscard]] std::string contrasted(const std::string& out, const std::string& more = "") const {
    return command(out, "--contrast.text=" + dir_.file("contrast.jsonl") + " --contrast.snippet=16 " + more);
  }
};

TEST_F(ScoreAgainstAContrast, CohensDIsTheSameOnAnyNumberOfRanksAndInOnePass) {
  ASSERT_EQ(testing::run_command(contrasted("one", "--selection=cohen")).code, 0);
  const auto result = read_json(dir_.file("one/result.json"));
  EXPECT_EQ(result.at("model_passes").to_number<double>(), 1.0);
  EXPECT_GT(result.at("snippets").at("text").as_int64(), 0);
  EXPECT_GT(result.at("snippets").at("contrast").as_int64(), 0);
  double last = 1e300;
  for (const auto& feature : result.at("features").as_array()) {
    EXPECT_EQ(feature.at("score"), feature.at("cohens_d"));
    EXPECT_LE(feature.at("score").to_number<double>(), last);
    last = feature.at("score").to_number<double>();
  }
  EXPECT_TRUE(SafetensorsReader(dir_.file("one/scores.safetensors")).has("cohens_d"));
  ASSERT_EQ(testing::run_command("mpirun -n 3 " + contrasted("three", "--selection=cohen")).code, 0);
  expect_same("three", "one");
}

TEST_F(ScoreAgainstAContrast, TheContrastDoesNotChangeTheScores) {
  ASSERT_EQ(testing::run_command(command("alone")).code, 0);
  ASSERT_EQ(testing::run_command(contrasted("beside")).code, 0);
  expect_same("beside", "alone");
  EXPECT_EQ(read_json(dir_.file("beside/result.json")).at("tokens"),
            read_json(dir_.file("alone/result.json")).at("tokens"));
  EXPECT_EQ(testing::content_of(dir_.file("beside/contexts.jsonl")),
            testing::content_of(dir_.file("alone/contexts.jsonl")));
}

TEST_F(ScoreAgainstAContrast, WithoutAContrastSnippetsWithAWordAreCompared) {
  ASSERT_EQ(testing::run_command(command("words", "--selection=cohen --contrast.snippet=8")).code, 0);
  const auto result = read_json(dir_.file("words/result.json"));
  EXPECT_GT(result.at("snippets").at("with_word").as_int64(), 0);
  EXPECT_GT(result.at("snippets").at("without_word").as_int64(), 0);
}

TEST_F(ScoreAgainstAContrast, InjectionTellsAClassOfEveryLatentOnAnyRanksAndAfterAKill) {
  const std::string flags =
      "--injection.latents=4 --injection.texts=10 --injection.tokens=3 --checkpoint.every_steps=1";
  ASSERT_EQ(testing::run_command(contrasted("one", flags)).code, 0);
  const auto lines = read_lines(dir_.file("one/injection.jsonl"));
  ASSERT_EQ(lines.size(), 4u);
  for (const auto& line : lines) {
    double largest = 0.0;
    for (const char* const kind : {"tokens", "pairs", "triple"}) {
      largest = std::max(largest, line.at("injections").at(kind).at("cohens_d").to_number<double>());
    }
    EXPECT_NEAR(line.at("cohens_d").to_number<double>(), largest, 1e-12);
    const std::string expected = largest >= 0.8   ? "token_driven"
                                 : largest >= 0.5 ? "partly_token_driven"
                                 : largest >= 0.2 ? "weakly_token_driven"
                                                  : "context_dependent";
    EXPECT_EQ(line.at("class").as_string(), expected);
    EXPECT_LE(line.at("tokens").as_array().size(), 3u);
  }
  const auto injection = read_json(dir_.file("one/result.json")).at("injection").as_object();
  EXPECT_EQ(injection.at("model_tokens").as_int64(), 16 * 10 * (1 + 3 * 4));

  // In the third block of the injection.
  const std::string last = testing::content_of(dir_.file("one/checkpoint/LATEST"));
  const int64_t blocks = std::stoll(last.substr(last.find('-') + 1));
  ASSERT_NE(testing::run_command(fmt::format("ORTHANT_FAULT=score.block:0:{}:kill ", blocks + 3) +
                                 contrasted("killed", flags))
                .code,
            0);
  ASSERT_TRUE(std::filesystem::exists(dir_.file("killed/injection_checkpoint/LATEST")));
  ASSERT_FALSE(std::filesystem::exists(dir_.file("killed/result.json")));
  ASSERT_EQ(testing::run_command("mpirun -n 3 " + contrasted("killed", flags)).code, 0);
  EXPECT_EQ(testing::content_of(dir_.file("killed/injection.jsonl")),
            testing::content_of(dir_.file("one/injection.jsonl")));
}

TEST_F(ScoreAgainstAContrast, RefusesWhatCannotBeInjected) {
  const testing::Outcome no_text = testing::run_command(command("a", "--injection.latents=2"));
  EXPECT_EQ(no_text.code, 78);
  EXPECT_NE(no_text.err.find("--contrast.text"), std::string::npos);
  const testing::Outcome short_text =
      testing::run_command(contrasted("b", "--injection.latents=2 --contrast.snippet=4096"));
  EXPECT_EQ(short_text.code, 78);
  EXPECT_NE(short_text.err.find("snippets"), std::string::npos);
}

// The files read as the programs read them that they are for.
TEST_F(Score, ExportsALatentCacheAndADashboard) {
  ASSERT_EQ(testing::run_command(
                command("one", "--exports=delphi,neuronpedia --contexts.latents=3 --contexts.logits=4"))
                .code,
            0);
  const auto result = read_json(dir_.file("one/result.json"));
  const std::string cache = dir_.file("one/delphi/latents/blocks.2.hook_resid_post");
  EXPECT_EQ(read_json(cache + "/config.json").at("cache_ctx_len").as_int64(), 64);
  std::map<int64_t, int64_t> entries;  // of each latent
  int64_t covered = 0;
  for (const auto& each : std::filesystem::directory_iterator(cache)) {
    long long first = 0, last = 0;
    if (std::sscanf(each.path().filename().c_str(), "%lld_%lld.safetensors", &first, &last) != 2) continue;
    covered += last - first + 1;
    const SafetensorsReader file(each.path().string());
    const auto locations = file.read_integers(file.entry("locations"));
    const auto& tokens = file.entry("tokens").shape;
    for (size_t e = 0; e < locations.size(); e += 3) {
      ASSERT_LT(locations[e], tokens[0]);
      ASSERT_LT(locations[e + 1], tokens[1]);
      ASSERT_LE(locations[e + 2], last - first);
      ++entries[first + locations[e + 2]];
    }
  }
  EXPECT_EQ(covered, kLatents);

  const auto batch = read_json(dir_.file("one/neuronpedia/batch-0.json"));
  EXPECT_EQ(batch.at("layer").as_int64(), 2);
  ASSERT_EQ(batch.at("features").as_array().size(), 3u);
  const auto cards = read_lines(dir_.file("one/contexts.jsonl"));
  for (size_t i = 0; i < cards.size(); ++i) {
    const auto& feature = batch.at("features").as_array()[i];
    EXPECT_EQ(feature.at("feature_index"), cards[i].at("latent"));
    EXPECT_EQ(feature.at("frac_nonzero"), cards[i].at("density"));
    EXPECT_NEAR(static_cast<double>(entries[cards[i].at("latent").as_int64()]),
                cards[i].at("density").to_number<double>() * result.at("tokens").to_number<double>(), 1e-6);
    EXPECT_EQ(feature.at("pos_str").as_array().size(), 4u);
    EXPECT_EQ(feature.at("neg_values").as_array().size(), 4u);
    EXPECT_EQ(feature.at("neuron_alignment_indices").as_array().size(), 3u);
    EXPECT_EQ(feature.at("freq_hist_data_bar_heights"), cards[i].at("histogram").at("counts"));
    const auto& shown = feature.at("activations").as_array();
    ASSERT_GT(shown.size(), cards[i].at("contexts").as_array().size());
    EXPECT_EQ(shown[0].at("bin_min").to_number<double>(), -1.0);
    EXPECT_EQ(shown[0].at("tokens"), cards[i].at("contexts").at(0).at("tokens"));
    EXPECT_EQ(shown[0].at("values"), cards[i].at("contexts").at(0).at("activations"));
  }
  EXPECT_TRUE(std::filesystem::exists(dir_.file("one/neuronpedia/run_settings.json")));
  ASSERT_EQ(
      testing::run_command("mpirun -n 3 " + command("three", "--exports=delphi --contexts.latents=0")).code,
      0);
  for (const auto& each : std::filesystem::directory_iterator(cache)) {
    const std::string name = each.path().filename().string();
    if (name == "config.json") continue;
    EXPECT_EQ(testing::content_of(each.path().string()),
              testing::content_of(dir_.file("three/delphi/latents/blocks.2.hook_resid_post/" + name)));
  }
}

TEST_F(Score, ReadsTheLinesOfOpenThoughts) {
  write(dir_.file("text.jsonl"),
        "{\"domain\":\"math\",\"problem\":\"How many red apples has Lily?\",\"deepseek_reasoning\":\"Lily "
        "has a "
        "big dog.\",\"deepseek_solution\":\"Two red apples.\"}\n");
  write(dir_.file("prompts.json"),
        R"({"system":"Count. ","math":"How many? ","code_from_input":"","code_of_function":""})");
  EXPECT_EQ(testing::run_command(command("none", "--text_template=openthoughts")).code, 78);
  ASSERT_EQ(testing::run_command(command("thoughts", "--text_template=openthoughts --text_prompts=" +
                                                         dir_.file("prompts.json")))
                .code,
            0);
  EXPECT_GT(read_json(dir_.file("thoughts/result.json")).at("word_tokens").at("lily").as_int64(), 0);
  EXPECT_EQ(testing::run_command(command("plain")).code, 65);  // there is no field `text`
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
