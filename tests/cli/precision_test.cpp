// `precision=bf16` through the program: what it changes, what it says, and that it is part of what a job is.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <fstream>

#include "tests/support/program.h"
#include "tests/support/shared_files.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

namespace json = boost::json;
using testing::content_of;
using testing::ended;
using testing::Outcome;
using testing::run_orthant;

constexpr const char* kModel = "data/models/stories260K/stories260K.bin";

std::string train(const std::string& out, const std::string& more) {
  return "train --source.synthetic.features=40 --source.synthetic.d_model=16 --source.synthetic.l0=4 "
         "--sae.latents=48 --sae.k=4 --train.batch_tokens=64 --train.tokens=1280 --train.holdout_rows=256 "
         "--deterministic --progress=none --json --threads=1 --out=" +
         out + " " + more;
}

json::object object_in(const std::string& path) {
  return json::parse(content_of(path)).as_object();
}

TEST(PrecisionOption, TrainsInBf16WithTheSameWeightsOnOneAndOnTwoRanks) {
  const testing::TempDir folder;
  const std::string f32 = folder.file("f32"), one = folder.file("one"), two = folder.file("two");
  const Outcome alone = run_orthant(train(one, "--precision=bf16"));
  ASSERT_TRUE(ended(alone, 0));
  EXPECT_EQ(alone.err.find("warning"), std::string::npos) << alone.err;
  EXPECT_NE(alone.err.find("precision bf16"), std::string::npos) << alone.err;
  ASSERT_TRUE(ended(run_orthant(train(two, "--precision=bf16"), "mpirun -n 2"), 0));
  ASSERT_TRUE(ended(run_orthant(train(f32, "")), 0));
  const auto weights = [](const std::string& out) {
    return object_in(out + "/result.json").at("weights_sha256");
  };
  EXPECT_EQ(weights(one), weights(two));
  EXPECT_NE(weights(one), weights(f32));
  EXPECT_EQ(object_in(one + "/run.json").at("precision"), json::value("bf16"));
  EXPECT_EQ(object_in(f32 + "/run.json").at("precision"), json::value("f32"));
}

TEST(PrecisionOption, IsPartOfTheJob) {
  const testing::TempDir folder;
  const std::string out = folder.file("run");
  ASSERT_TRUE(ended(run_orthant(train(out, "--precision=bf16")), 0));
  EXPECT_TRUE(testing::refused(run_orthant(train(out, "--precision=f32")), 78, "precision"));
}

TEST(PrecisionOption, RefusesWhatIsNeither) {
  const Outcome outcome = run_orthant("train --precision=f16 --source.synthetic.features=4");
  EXPECT_TRUE(testing::refused(outcome, 78, "precision", "f16", "bf16"));
}

// A small language model and a text for it.
class PrecisionOfModel : public ::testing::Test {
 protected:
  void SetUp() override {
    ORTHANT_NEEDS_SHARED(kModel);
    std::ofstream text(folder.file("text.txt"));
    for (int i = 0; i < 30; ++i) {
      text << "Once upon a time, there was a little girl named Lily. She had " << i << " red balls. ";
    }
  }
  [[nodiscard]] std::string model() const {
    return " --model=" + (testing::shared_folder() / kModel).string();
  }
  [[nodiscard]] static json::object run(const std::string& arguments) {
    const Outcome outcome = run_orthant(arguments + " --json --progress=none");
    EXPECT_TRUE(ended(outcome, 0));
    return outcome.code == 0 ? json::parse(outcome.out).as_object() : json::object{};
  }
  [[nodiscard]] json::object harvest(const std::string& precision) const {
    return run("harvest --hook=blocks.2.hook_resid_post --dtype=f32 --text=" + folder.file("text.txt") +
               model() + " --out=" + folder.file(precision) + " --precision=" + precision);
  }
  testing::TempDir folder;
};

TEST_F(PrecisionOfModel, ChangesThePerplexityALittle) {
  const auto perplexity = [&](const std::string& precision) {
    return run("lm perplexity --window=128 --text_file=" + folder.file("text.txt") + model() +
               " --precision=" + precision)
        .at("perplexity")
        .as_double();
  };
  const double exact = perplexity("f32"), found = perplexity("bf16");
  EXPECT_NE(found, exact);
  EXPECT_NEAR(found / exact, 1.0, 0.01);
}

TEST_F(PrecisionOfModel, ScoresAndGeneratesInBf16) {
  std::ofstream(folder.file("pairs.jsonl"))
      << R"({"context":"Once upon a time,","continuation":" there was"})"
      << "\n";
  const auto log_prob = [&](const std::string& precision) {
    return run("lm score --pairs=" + folder.file("pairs.jsonl") + model() + " --precision=" + precision)
        .at("scores")
        .as_array()[0]
        .at("log_prob")
        .as_double();
  };
  const double exact = log_prob("f32"), found = log_prob("bf16");
  EXPECT_NE(found, exact);
  EXPECT_NEAR(found, exact, 0.1);
  EXPECT_FALSE(run("lm generate --prompt='Once upon a time' --max_new_tokens=8 --precision=bf16" + model())
                   .at("ids")
                   .as_array()
                   .empty());
}

TEST_F(PrecisionOfModel, ChangesWhatIsHarvestedAndStoresSayIt) {
  EXPECT_NE(harvest("f32").at("content_hash"), harvest("bf16").at("content_hash"));
  const json::object store = run("inspect " + folder.file("bf16"));
  EXPECT_EQ(store.at("provenance").at("precision"), json::value("bf16"));
}

TEST_F(PrecisionOfModel, ChangesWhatALiveModelGives) {
  const auto trained_on = [&](const std::string& precision) {
    return run("train --source.model=" + (testing::shared_folder() / kModel).string() +
               " --source.hook=blocks.2.hook_resid_post --source.text=" + folder.file("text.txt") +
               " --sae.preset=topk --sae.latents=96 --sae.k=8 --train.batch_tokens=64 --train.tokens=128 "
               "--precision=" +
               precision + " --out=" + folder.file("live_" + precision));
  };
  EXPECT_NE(trained_on("f32").at("weights_sha256"), trained_on("bf16").at("weights_sha256"));
  const json::object file = run("inspect " + folder.file("live_bf16/dictionary.safetensors"));
  EXPECT_NE(json::serialize(file).find(" in bf16, text"), std::string::npos) << json::serialize(file);
}

TEST_F(PrecisionOfModel, MeasuresADictionaryInBf16) {
  (void)harvest("f32");
  const std::string store = " --source.store=" + folder.file("f32"), sae = folder.file("sae");
  (void)run(
      "train --sae.preset=topk --sae.latents=96 --sae.k=8 --train.batch_tokens=64 "
      "--train.tokens=1280 --out=" +
      sae + store);
  const auto measures = [&](const std::string& precision) {
    return run("evaluate --metrics=core --metrics=ce --ce.tokens=256 --sae=" + sae + store + model() +
               " --precision=" + precision);
  };
  const json::object exact = measures("f32"), found = measures("bf16");
  EXPECT_EQ(found.at("precision"), json::value("bf16"));
  for (const char* name : {"fvu", "ce_loss_without_sae"}) {
    const double a = exact.at(name).as_double(), b = found.at(name).as_double();
    EXPECT_NE(a, b) << name;
    EXPECT_NEAR(a, b, 0.02 * std::abs(a)) << name;
  }
}

}  // namespace
}  // namespace orthant
