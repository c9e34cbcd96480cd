// What the program says of language models that cannot be used, and the code it ends with.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/support/damage_file.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"
#include "tests/support/tiny_hf_model.h"

namespace orthant {
namespace {

namespace fs = std::filesystem;
using models::ModelConfig;
using testing::ended;
using testing::GgufBuilder;
using testing::Outcome;
using testing::refused;
using testing::TinyWeights;

class ModelInput : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::write_text(text_, "abcdefgh abcdefgh");
    fs::create_directory(hf_);
  }
  [[nodiscard]] Outcome harvest(const std::string& model, const std::string& more = "", int ranks = 1) const {
    return testing::run_orthant("harvest --model=" + model + " --text=" + text_ +
                                    " --hook=blocks.1.hook_resid_post --context=8 --progress=none "
                                    "--log_level=warning --out=" +
                                    store_ + " " + more,
                                ranks == 1 ? "" : "mpirun -n " + std::to_string(ranks));
  }
  void write_gguf(const TinyWeights& weights, const ModelConfig& config = testing::tiny_config()) const {
    GgufBuilder builder = testing::gguf_metadata(config);
    testing::add_gguf_letters(builder);
    testing::add_gguf_weights(builder, config, weights);
    builder.write(gguf_);
  }
  void write_hf(const TinyWeights& weights, const ModelConfig& config = testing::tiny_config()) const {
    testing::write_hf_config(hf_, config);
    testing::write_hf_weights(hf_ + "/model.safetensors", weights);
  }

  testing::TempDir folder_;
  std::string text_ = folder_.file("text.txt");
  std::string store_ = folder_.file("store");
  std::string gguf_ = folder_.file("tiny.gguf");
  std::string hf_ = folder_.file("hf");
  TinyWeights weights_ = testing::tiny_weights(testing::tiny_config());
};

TEST_F(ModelInput, MissingModelsAreNamedByEveryVerb) {
  EXPECT_TRUE(refused(harvest("nowhere.gguf"), 74, "no model at nowhere.gguf", "no such file", ".gguf file"));
  for (const std::string& verb : {"lm perplexity --text_file=" + text_, "lm tokenize --text_file=" + text_,
                                  std::string("lm generate --prompt=a"), "lm score --pairs=" + text_,
                                  "train --source.text=" + text_ +
                                      " --source.hook=blocks.0.hook_resid_pre --source.model=nowhere.gguf"}) {
    const std::string model = verb.starts_with("train") ? "" : " --model=nowhere.gguf";
    EXPECT_TRUE(refused(testing::run_orthant(verb + model), 74, "nowhere.gguf", "no such file")) << verb;
  }
  EXPECT_TRUE(refused(harvest(hf_), 74, hf_, "config.json", ".gguf file"));
  testing::write_hf_config(hf_, testing::tiny_config());
  EXPECT_TRUE(refused(harvest(hf_), 74, hf_, "*.safetensors", "convert"));
}

TEST_F(ModelInput, TruncatedGgufNamesFileAndByteAndTheWholeOneIsTakenAfterwards) {
  testing::write_tiny_gguf(gguf_);
  const int64_t bytes = testing::cut_file(gguf_, 0.9);
  EXPECT_TRUE(refused(harvest(gguf_), 65, "tiny.gguf ends within tensor",
                      "the file has " + std::to_string(bytes), "fetch it again"));
  testing::cut_file(gguf_, 0.05);
  EXPECT_TRUE(refused(harvest(gguf_), 65, "tiny.gguf ends within", "at byte", "fetch it again"));
  testing::write_tiny_gguf(gguf_);
  EXPECT_TRUE(ended(harvest(gguf_), 0));
}

TEST_F(ModelInput, AMisspeltModelMayBeMendedInTheSameOut) {
  testing::write_tiny_gguf(gguf_);
  EXPECT_TRUE(refused(harvest("nowhere.gguf"), 74, "nowhere.gguf"));
  EXPECT_TRUE(ended(harvest(gguf_), 0));
  EXPECT_TRUE(refused(harvest("nowhere.gguf"), 78, "another configuration", "model", "--fresh"));
}

TEST_F(ModelInput, TruncatedSafetensorsNamesFileAndOffset) {
  write_hf(weights_);
  const int64_t bytes = testing::cut_file(hf_ + "/model.safetensors", 0.9);
  EXPECT_TRUE(refused(harvest(hf_), 65, "model.safetensors", "offset", "ends at " + std::to_string(bytes),
                      "Copy or make the file again"));
  testing::cut_file(hf_ + "/model.safetensors", 0.01);
  EXPECT_TRUE(refused(harvest(hf_), 65, "model.safetensors", "header ends at offset", "the file ends at"));
}

TEST_F(ModelInput, ATensorOfTheWrongShapeIsNamedWithBothShapes) {
  weights_["model.layers.0.mlp.down_proj.weight"].shape = {20, 24};
  write_gguf(weights_);
  write_hf(weights_);
  for (const std::string& model : {gguf_, hf_}) {
    EXPECT_TRUE(refused(harvest(model), 65, "model.layers.0.mlp.down_proj.weight", model, "[20, 24]",
                        "[24, 20]", "belong together"));
  }
}

TEST_F(ModelInput, AMissingTensorIsNamed) {
  weights_.erase("model.norm.weight");
  write_gguf(weights_);
  write_hf(weights_);
  EXPECT_TRUE(refused(harvest(gguf_), 65, "no tensor output_norm.weight", "tiny.gguf"));
  EXPECT_TRUE(refused(harvest(hf_), 65, "no tensor model.norm.weight", hf_));
}

TEST_F(ModelInput, AnUnsupportedQuantisationIsNamedBesideThoseThatAreRead) {
  constexpr uint32_t kQ2K = 10;
  const ModelConfig config = testing::tiny_config();
  GgufBuilder builder = testing::gguf_metadata(config);
  testing::add_gguf_letters(builder);
  weights_.erase("model.layers.1.mlp.up_proj.weight");
  testing::add_gguf_weights(builder, config, weights_);
  builder.tensor("blk.1.ffn_up.weight", {20, 24}, kQ2K, std::string(1000, '\0'));
  builder.write(gguf_);
  EXPECT_TRUE(refused(harvest(gguf_), 78, "blk.1.ffn_up.weight", "Q2_K", "Q4_0", "Q8_0", "Q6_K can be read",
                      "another quantisation"));
}

TEST_F(ModelInput, AnUnsupportedArchitectureIsNamedBesideThoseThatAreRead) {
  ModelConfig config = testing::tiny_config();
  config.architecture = "gemma3";
  write_gguf(weights_, config);
  write_hf(weights_, config);
  for (const std::string& model : {gguf_, hf_}) {
    EXPECT_TRUE(refused(harvest(model), 78, model, "\"gemma3\"", "llama, mistral and qwen2 are supported"));
  }
}

TEST_F(ModelInput, AnUnknownHookIsNamedBesideTheNearestAndAllThatExist) {
  testing::write_tiny_gguf(gguf_);
  EXPECT_TRUE(refused(harvest(gguf_, "--hook=blocks.1.hook_resid_pots"), 78, "\"blocks.1.hook_resid_pots\"",
                      "did you mean blocks.1.hook_resid_post?", "blocks.L.hook_mlp_out", "L from 0 to 1"));
  EXPECT_TRUE(refused(harvest(gguf_, "--hook=blocks.1.mlp_out"), 78, "did you mean blocks.1.hook_mlp_out?"));
  EXPECT_TRUE(refused(harvest(gguf_, "--hook=blocks.2.hook_mlp_out"), 78, "\"blocks.2.hook_mlp_out\"",
                      "the model has 2 blocks", "L from 0 to 1"));
  EXPECT_TRUE(
      refused(harvest(gguf_, "--hook=blocks.99999999999999999999.hook_mlp_out"), 78, "L from 0 to 1"));
}

TEST_F(ModelInput, BothRanksEndWithOneMessage) {
  testing::write_tiny_gguf(gguf_);
  testing::cut_file(gguf_, 0.9);
  EXPECT_TRUE(refused(harvest(gguf_, "", 2), 65, "tiny.gguf ends within tensor", "fetch it again"));
  EXPECT_TRUE(
      refused(testing::run_orthant("lm tokenize --text_file=" + text_ + " --model=" + gguf_, "mpirun -n 2"),
              65, "tiny.gguf ends within tensor"));
}

TEST_F(ModelInput, RowsLongerThanTheContextAreRefused) {
  testing::write_tiny_gguf(gguf_);
  testing::write_text(text_, std::string(40, 'c'));
  EXPECT_TRUE(
      refused(harvest(gguf_, "--context=512"), 78, "a row of 40 tokens", "context is 16", "at most 16"));
}

}  // namespace
}  // namespace orthant
