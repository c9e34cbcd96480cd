// Crosscoders and dictionaries of differences from outside: paired stores whose features are known, trained
// on, stopped, taken apart by diff; and pairs that do not fit.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>

#include "runtime/core/rng.h"
#include "runtime/storage/activation_store.h"
#include "runtime/storage/safetensors.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_model.h"
#include "tests/support/tiny_gguf.h"

namespace orthant {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using testing::ended;
using testing::Outcome;
using testing::refused;
using testing::run_orthant;

constexpr int64_t kRows = 6000;
constexpr int64_t kWidth = 16;
constexpr int64_t kFeatures = 12;  // k % 3: of the first store, of the second, of both

float direction(int64_t feature, int64_t column) {
  return random_normal(4, Purpose::kTest, 0, static_cast<uint64_t>(feature * kWidth + column)) / 4.0f;
}

struct Written {
  int64_t rows = kRows;
  int64_t width = kWidth;
  int64_t changed_row = -1;
};

void write_planted(const std::string& path, int64_t store, const Written& written = {}) {
  const StoreDescription description{
      .rows = written.rows,
      .d_model = written.width,
      .dtype = Dtype::kF32,
      .provenance = {{"hook", fmt::format("blocks.{}.hook_resid_post", store)}},
      .shard_bytes = 0};
  std::vector<float> values(static_cast<size_t>(written.rows * written.width), 0.0f);
  RowLabels labels;
  for (int64_t r = 0; r < written.rows; ++r) {
    for (int64_t k = 0; k < kFeatures; ++k) {
      const auto index = static_cast<uint64_t>(r * kFeatures + k);
      const bool is_here = k % 3 == 2 || k % 3 == store;
      if (!is_here || random_uniform(4, Purpose::kTest, 1, index) > 1.0f / 6.0f) continue;
      const float size = 3.0f + 3.0f * random_uniform(4, Purpose::kTest, 2, index);
      for (int64_t c = 0; c < written.width; ++c) {
        values[static_cast<size_t>(r * written.width + c)] += size * direction(k, c);
      }
    }
    labels.token_ids.push_back(static_cast<int32_t>(r % 300) + (r == written.changed_row ? 1 : 0));
    labels.positions.push_back(static_cast<int32_t>(r % 60));
    labels.documents.push_back(r / 60);
  }
  Memory memory;
  StoreWriter writer(path, description, memory);
  writer.append({values.data(), {written.rows, written.width}}, labels);
  writer.publish();
  (void)seal_store(path, description);
}

class PairedStores : public ::testing::Test {
 protected:
  PairedStores() {
    write_planted(a_, 0);
    write_planted(b_, 1);
  }
  [[nodiscard]] std::string pair() const {
    return fmt::format("--source.store={} --source.store={} ", a_, b_);
  }
  // 480 steps; two features of a row on average.
  [[nodiscard]] std::string train(const std::string& out, const std::string& more) const {
    return fmt::format(
        "train {} --sae.latents={} --sae.k=2 --train.lr=5e-3 --train.batch_tokens=256 "
        "--train.tokens=122880 --train.holdout_rows=512 --progress=none --log_level=warning --json "
        "--source.exclude.norm_ratio=0 --out={} {}",
        pair(), kFeatures, folder_.file(out), more);
  }
  [[nodiscard]] std::string crosscoder(const std::string& out, const std::string& more = "") const {
    return train(out, "--sae.preset=crosscoder_batchtopk " + more);
  }
  [[nodiscard]] std::string file(const std::string& name) const { return folder_.file(name); }
  static json::object result_of(const Outcome& outcome) {
    EXPECT_TRUE(ended(outcome, 0));
    return outcome.code == 0 ? json::parse(outcome.out).as_object() : json::object{};
  }
  static std::string hash_of(const json::object& result) {
    return result.at("weights_sha256").as_string().c_str();
  }

  testing::TempDir folder_;
  std::string a_ = folder_.file("a");
  std::string b_ = folder_.file("b");
};

double number(const json::value& object, const char* name) {
  return object.at(name).to_number<double>();
}

TEST_F(PairedStores, CrosscoderTellsWhatIsInOneAndWhatIsInBoth) {
  const json::object trained = result_of(run_orthant(crosscoder("run")));
  EXPECT_GT(number(trained, "explained_variance"), 0.8);
  for (const json::value& share : trained.at("explained_variance_of_source").as_array()) {
    EXPECT_GT(share.to_number<double>(), 0.7);
  }
  const std::string diff =
      fmt::format("diff crosscoder --sae={} {} --source.exclude.norm_ratio=0 --json", file("run"), pair());
  const json::object found = result_of(run_orthant(diff + " --out=" + file("diff")));
  const json::array& groups = found.at("groups").as_array();
  ASSERT_EQ(groups.size(), 3u);
  int64_t latents = 0;
  for (const json::value& group : groups) {
    EXPECT_NEAR(number(group, "latents"), kFeatures / 3, 2) << group.at("group").as_string();
    latents += group.at("latents").to_number<int64_t>();
  }
  EXPECT_EQ(latents, kFeatures);
  EXPECT_GT(number(groups[1], "mean_cosine"), 0.8) << "features of both have one direction";
  for (const size_t exclusive : {size_t{0}, size_t{2}}) {
    EXPECT_LT(std::abs(number(groups[exclusive], "median_error_ratio")), 0.2);
    EXPECT_GE(number(groups[exclusive], "confirmed"), 2);
  }
  EXPECT_GT(number(groups[1], "median_error_ratio"), 0.6);
  EXPECT_FALSE(groups[1].as_object().contains("confirmed")) << "only what is exclusive is confirmed";
  const SafetensorsReader file_of_latents(file("diff") + "/latents.safetensors");
  for (const char* name :
       {"relative_norm", "decoder_norm_a", "cosine", "error_beta_b", "reconstruction_ratio"}) {
    EXPECT_EQ(file_of_latents.entry(name).shape, (std::vector<int64_t>{kFeatures})) << name;
  }
  for (const int ranks : {2, 3}) {
    const json::object shared = result_of(run_orthant(diff, "mpirun -n " + std::to_string(ranks)));
    for (size_t g = 0; g < 3; ++g) {
      EXPECT_EQ(shared.at("groups").as_array()[g].at("latents"), groups[g].at("latents"));
      EXPECT_NEAR(number(shared.at("groups").as_array()[g], "median_error_ratio"),
                  number(groups[g], "median_error_ratio"), 1e-4);
    }
  }
  const Outcome table = run_orthant(fmt::format("diff crosscoder --sae={}", file("run")));
  EXPECT_NE(table.out.find("exclusive to the second"), std::string::npos) << table.out;
  // Norms and cosines need no activations.
  const json::object norms =
      result_of(run_orthant(fmt::format("diff crosscoder --sae={} --json", file("run"))));
  EXPECT_EQ(norms.at("groups").as_array()[0].at("latents"), groups[0].at("latents"));
  EXPECT_FALSE(norms.contains("measured_rows"));
}

TEST_F(PairedStores, AKilledCrosscoderEndsWithTheSameBitsAndRanksAgree) {
  const std::string more = "--train.tokens=10240 --checkpoint.every_steps=10 --deterministic";
  const json::object whole = result_of(run_orthant(crosscoder("whole", more)));
  const Outcome killed =
      testing::run_command("ORTHANT_FAULT=train.step:0:25:kill exec " +
                           (std::string(ORTHANT_PROGRAM) + " " + crosscoder("killed", more)));
  EXPECT_NE(killed.code, 0);
  EXPECT_EQ(hash_of(result_of(run_orthant(crosscoder("killed", more)))), hash_of(whole));
  EXPECT_EQ(hash_of(result_of(run_orthant(crosscoder("ranks", more), "mpirun -n 3"))), hash_of(whole));
  const std::string l1 = "--sae.preset=crosscoder_l1 " + more;
  const std::string alone = hash_of(result_of(run_orthant(train("l1", l1))));
  EXPECT_EQ(hash_of(result_of(run_orthant(train("l1_ranks", l1), "mpirun -n 2"))), alone);
}

TEST_F(PairedStores, SaediffShowsWhichSourceADirectionIsOf) {
  const std::string preset = "--sae.preset=batchtopk --source.combine=difference --sae.latents=8 --sae.k=1";
  const json::object trained = result_of(run_orthant(train("run", preset)));
  EXPECT_GT(number(trained, "explained_variance"), 0.7);
  EXPECT_FALSE(trained.contains("explained_variance_of_source"));
  const json::object found = result_of(run_orthant(
      fmt::format("diff saediff --sae={} {} --source.exclude.norm_ratio=0 --json", file("run"), pair())));
  EXPECT_GT(number(found, "relative_difference"), 0.1);
  EXPECT_NEAR(number(found, "explained_variance"), number(trained, "explained_variance"), 0.1);
  const json::array& top = found.at("top").as_array();
  ASSERT_GE(top.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    const double of_a = number(top[i], "beta_first"), of_b = number(top[i], "beta_second");
    EXPECT_GT(number(top[i], "share"), 0.01);
    EXPECT_GT(std::abs(of_b - of_a), 0.5) << "it carries the difference";
    // What was planted is in one of them alone.
    EXPECT_LT(std::min(std::abs(of_a), std::abs(of_b)), 0.4) << i;
  }
  const Outcome table =
      run_orthant(fmt::format("diff saediff --sae={} {} --source.exclude.norm_ratio=0", file("run"), pair()));
  EXPECT_NE(table.out.find("beta 2nd"), std::string::npos) << table.out;
}

TEST_F(PairedStores, StagesOfAChainScaleTheScheduleToTheirTokens) {
  const std::string schedule = "--train.lr_warm_up_steps=20 --train.lr_decay_start=0.5 --train.log_every=1 ";
  ASSERT_TRUE(ended(run_orthant(crosscoder("first", schedule + "--train.tokens=10240")), 0));  // 40 steps
  const auto rates_of = [&](const std::string& run) {
    std::vector<double> rates;
    std::ifstream metrics(file(run) + "/metrics.jsonl");
    for (std::string line; std::getline(metrics, line);) {
      rates.push_back(json::parse(line).at("details/lr").to_number<double>());
    }
    return rates;
  };
  const std::string init = "--train.tokens=3072 --train.log_every=1 --init=" + file("first");  // 12 steps
  ASSERT_TRUE(ended(run_orthant(crosscoder("second", init)), 0));
  const std::vector<double> rates = rates_of("second");
  ASSERT_EQ(rates.size(), 12u);
  for (size_t step = 0; step < 6; ++step) {  // a warm-up of half the steps, as it was there
    EXPECT_NEAR(rates[step], 5e-3 * static_cast<double>(step) / 6.0, 1e-8) << step;
  }
  EXPECT_LT(rates[11], rates[7]) << "and it falls from the same share on";
  ASSERT_TRUE(ended(
      run_orthant(crosscoder("third", init + " --train.lr_warm_up_steps=0 --train.lr_decay_start=1")), 0));
  for (const double rate : rates_of("third")) EXPECT_NEAR(rate, 5e-3, 1e-8);
  // Latents keep their numbers, so that rotation can be measured.
  const json::object turned = result_of(
      run_orthant(fmt::format("diff rotation --stages={},{} --json", file("first"), file("second"))));
  EXPECT_GT(number(turned.at("transitions").as_array()[0], "mean"), 0.9);
  EXPECT_TRUE(refused(run_orthant(train("other",
                                        "--sae.preset=batchtopk --source.combine=difference "
                                        "--init=" +
                                            file("first"))),
                      78, "--init"));
}

TEST_F(PairedStores, WhatDoesNotFitIsRefused) {
  write_planted(file("changed"), 1, {.changed_row = 4321});
  write_planted(file("short"), 1, {.rows = 500});
  write_planted(file("wide"), 1, {.width = 20});
  const auto with = [&](const std::string& other) {
    return fmt::format(
        "train --sae.preset=crosscoder_l1 --sae.latents=8 --sae.k=2 --progress=none "
        "--log_level=warning --source.store={},{}",
        a_, file(other));
  };
  EXPECT_TRUE(refused(run_orthant(with("changed")), 78, "row 4321", "token 121", "token 122"));
  EXPECT_TRUE(refused(run_orthant(with("changed"), "mpirun -n 2"), 78, "row 4321"));
  EXPECT_TRUE(refused(run_orthant(with("short")), 78, "row 500", "6000 and 500 rows"));
  EXPECT_TRUE(refused(run_orthant(with("wide")), 78, "d_model 16", "20"));
  EXPECT_TRUE(refused(run_orthant("train --sae.preset=crosscoder_l1 --source.store=" + a_), 78, "one source",
                      "--source.store=FIRST,SECOND"));
  EXPECT_TRUE(
      refused(run_orthant(train("x", "--sae.preset=batchtopk --sae.normalize_activations=layer_norm")), 78,
              "layer_norm", "2 sources"));
  ASSERT_TRUE(ended(run_orthant(crosscoder("run", "--train.tokens=1024")), 0));
  const std::string run = file("run");
  EXPECT_TRUE(refused(run_orthant(fmt::format("diff crosscoder --sae={} --source.store={}", run, a_)), 78,
                      "1 stores"));
  EXPECT_TRUE(refused(run_orthant(fmt::format("diff saediff --sae={} {}", run, pair())), 78,
                      "is a crosscoder", "diff crosscoder"));
  EXPECT_TRUE(refused(run_orthant(fmt::format("export {} --to=saelens --out={}", run, file("exported"))), 78,
                      "crosscoder", "--to=safetensors"));
  EXPECT_TRUE(
      refused(run_orthant("evaluate --progress=none --metrics=core --sae=" + run + " --source.store=" + a_),
              78, "d_model 32", "16"));
  const std::string exported = file("exported.safetensors");
  ASSERT_TRUE(ended(run_orthant(fmt::format("export {} --to=safetensors --out={}", run, exported)), 0));
  const json::object of_run = result_of(run_orthant("diff crosscoder --json --sae=" + run));
  const json::object of_export = result_of(run_orthant("diff crosscoder --json --sae=" + exported));
  EXPECT_EQ(of_run.at("latents"), of_export.at("latents"));
}

class PairedHarvest : public ::testing::Test {
 protected:
  testing::TempDir folder_;
};

TEST_F(PairedHarvest, SeveralModelsAndHooksMakeStoresOfTheSameTokens) {
  const std::string base = folder_.file("base.gguf"), tuned = folder_.file("tuned.gguf");
  const models::ModelConfig config = testing::tiny_config();
  testing::write_tiny_gguf(base);
  testing::TinyWeights weights = testing::tiny_weights(config);
  for (float& value : weights.begin()->second.values) value += 0.5f;
  testing::GgufBuilder builder = testing::gguf_metadata(config);
  testing::add_gguf_letters(builder);
  testing::add_gguf_weights(builder, config, weights);
  builder.write(tuned);
  const std::string text = folder_.file("text.txt");
  std::ofstream(text) << std::string(40, 'a') + "bcdefgh abcdefgh habcdefg\n";
  const std::string harvest = fmt::format(
      "harvest --model={},{} --text={} --hook=blocks.0.hook_resid_post,blocks.1.hook_resid_post --context=8 "
      "--dtype=f32 --progress=none --log_level=warning --json --out=",
      base, tuned, text);
  const Outcome outcome = run_orthant(harvest + folder_.file("both"));
  ASSERT_TRUE(ended(outcome, 0));
  const json::array stores = json::parse(outcome.out).at("stores").as_array();
  ASSERT_EQ(stores.size(), 4u);
  std::string token_hash, content_hash;
  for (const json::value& store : stores) {
    const StoreReader reader(store.at("store").as_string().c_str());
    if (token_hash.empty()) token_hash = reader.token_hash();
    EXPECT_EQ(reader.token_hash(), token_hash);
    EXPECT_NE(reader.content_hash(), content_hash) << "their activations are not the same";
    content_hash = reader.content_hash();
  }
  EXPECT_NE(stores[2].at("store").as_string().find("2-tuned"), std::string::npos);
  // Alone each model gives the store that it gives beside the other, at any number of ranks.
  const Outcome alone = run_orthant(
      fmt::format("harvest --model={} --text={} --hook=blocks.1.hook_resid_post --context=8 --dtype=f32 "
                  "--progress=none --log_level=warning --json --out={}",
                  tuned, text, folder_.file("alone")));
  ASSERT_TRUE(ended(alone, 0));
  EXPECT_EQ(json::parse(alone.out).at("content_hash"), stores[3].at("content_hash"));
  const Outcome two = run_orthant(harvest + folder_.file("ranks"), "mpirun -n 2");
  ASSERT_TRUE(ended(two, 0));
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(json::parse(two.out).at("stores").as_array()[i].at("content_hash"),
              stores[i].at("content_hash"));
  }
  EXPECT_TRUE(
      refused(run_orthant(fmt::format("harvest --model={},{} --text={} --hook=blocks.0.hook_resid_post "
                                      "--out={}",
                                      base, base, text, folder_.file("x"))),
              78, "given twice"));
}

// Two hooks of a real model as two sources: what the next block leaves of the residual stream.
TEST_F(PairedHarvest, ARealModelAtTwoHooks) {
  ORTHANT_NEEDS_TEST_MODEL();
  const std::string text = folder_.file("text.txt");
  std::ofstream file(text);
  for (int i = 0; i < 60; ++i)
    file << "The river " << i << " runs past the old mill, and " << i * i << " boats wait.\n";
  file.close();
  const std::string store = folder_.file("store");
  ASSERT_TRUE(ended(run_orthant(fmt::format("harvest --model={} --text={} --hook=blocks.1.hook_resid_post,"
                                            "blocks.2.hook_resid_post --context=128 --progress=none "
                                            "--log_level=warning --out={}",
                                            testing::test_model(), text, store)),
                    0));
  const std::string pair =
      fmt::format("--source.store={0}/blocks.1.hook_resid_post,{0}/blocks.2.hook_resid_post", store);
  const std::string sae = folder_.file("sae");
  const Outcome trained = run_orthant(
      fmt::format("train {} --sae.preset=crosscoder_batchtopk --sae.latents=128 --sae.k=16 --train.lr=2e-3 "
                  "--train.batch_tokens=256 --train.tokens=12800 --threads=1 --progress=none "
                  "--log_level=warning --json --out={}",
                  pair, sae));
  ASSERT_TRUE(ended(trained, 0));
  EXPECT_GT(number(json::parse(trained.out), "explained_variance"), 0.3);
  const Outcome diff = run_orthant(fmt::format("diff crosscoder --sae={} {} --json", sae, pair));
  ASSERT_TRUE(ended(diff, 0));
  const json::value found = json::parse(diff.out);
  double shares = 0.0;
  for (const json::value& group : found.at("groups").as_array()) shares += number(group, "share");
  EXPECT_NEAR(shares, 1.0, 1e-9);
  EXPECT_GT(number(found.at("groups").as_array()[1], "share"), 0.5) << "neighbouring hooks share most of it";
}

}  // namespace
}  // namespace orthant
