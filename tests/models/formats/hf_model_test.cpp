#include "models/formats/hf_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/core/dtype.h"
#include "runtime/core/error.h"
#include "runtime/storage/safetensors.h"
#include "tests/support/code_of.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_hf_model.h"
#include "tests/support/tiny_models.h"
#include "tests/support/tiny_tokenizers.h"

namespace orthant {
namespace {

using models::ModelConfig;
using ::testing::HasSubstr;
using testing::hf_config;
using testing::TempDir;
using testing::TinyWeights;
using testing::write_hf_weights;
using testing::write_text;

void write_tiny(const TempDir& folder, const ModelConfig& config, Dtype dtype = Dtype::kF32) {
  write_text(folder.file("config.json"), boost::json::serialize(hf_config(config)));
  write_hf_weights(folder.file("model.safetensors"), testing::tiny_weights(config), dtype);
}

void expect_weights(const models::ModelFile& file, const TinyWeights& weights) {
  for (const auto& [name, tensor] : weights) {
    std::vector<float> values(tensor.values.size());
    file.read(name, values);
    EXPECT_EQ(tensor.values, values) << name;
  }
}

ExitCode refusal(const TempDir& folder, const std::string& part) {
  std::string message;
  const ExitCode code =
      testing::code_of([&] { (void)models::open_model_file(folder.path().string()); }, &message);
  EXPECT_THAT(message, HasSubstr(part));
  return code;
}

TEST(HfModel, EveryFloatTypeIsWidened) {
  for (const auto& [dtype, name] : {std::pair{Dtype::kF32, "safetensors F32"},
                                    {Dtype::kF16, "safetensors F16"},
                                    {Dtype::kBF16, "safetensors BF16"}}) {
    const TempDir folder;
    const ModelConfig config = testing::tiny_config();
    write_tiny(folder, config, dtype);
    const auto file = models::open_model_file(folder.path().string());
    expect_weights(*file, testing::tiny_weights(config));
    EXPECT_EQ(name, file->description());
    EXPECT_EQ(6, file->config().head_dim);
    EXPECT_EQ(1e-5f, file->config().rms_epsilon);
    EXPECT_TRUE(file->config().tied_embeddings);
    EXPECT_EQ(32u, file->identity().size());
  }
}

TEST(HfModel, ShardsAreFoundByTheIndex) {
  const TempDir folder;
  ModelConfig config = testing::tiny_config();
  config.architecture = "qwen2";
  config.qkv_bias = true;
  config.tied_embeddings = false;
  const TinyWeights weights = testing::tiny_weights(config);
  TinyWeights parts[2];
  boost::json::object map;
  for (const auto& [name, tensor] : weights) {
    const size_t part = name.size() % 2;
    parts[part][name] = tensor;
    map[name] = part == 0 ? "a.safetensors" : "b.safetensors";
  }
  write_text(folder.file("config.json"), boost::json::serialize(hf_config(config)));
  write_hf_weights(folder.file("a.safetensors"), parts[0], Dtype::kF32);
  write_hf_weights(folder.file("b.safetensors"), parts[1], Dtype::kBF16);
  write_text(folder.file("model.safetensors.index.json"),
             boost::json::serialize(boost::json::object{{"weight_map", map}}));
  const auto file = models::open_model_file(folder.path().string());
  expect_weights(*file, weights);
  EXPECT_TRUE(file->config().qkv_bias);

  map["model.norm.weight"] = "../a.safetensors";
  write_text(folder.file("model.safetensors.index.json"),
             boost::json::serialize(boost::json::object{{"weight_map", map}}));
  EXPECT_EQ(ExitCode::kData, refusal(folder, "../a.safetensors"));
}

TEST(HfModel, TiedHeadThatIsStoredIsHidden) {
  const TempDir folder;
  ModelConfig config = testing::tiny_config();
  config.tied_embeddings = false;
  const TinyWeights weights = testing::tiny_weights(config);
  config.tied_embeddings = true;
  write_tiny(folder, config);
  write_hf_weights(folder.file("model.safetensors"), weights, Dtype::kF32);
  EXPECT_FALSE(models::open_model_file(folder.path().string())->has("lm_head.weight"));
}

TEST(HfModel, RopeScalingIsReadFromOldAndNewFields) {
  const TempDir folder;
  const ModelConfig config = testing::tiny_config();
  write_tiny(folder, config);
  boost::json::object json = hf_config(config);
  json["rope_theta"] = 500000.0;
  json["rope_scaling"] = {{"rope_type", "llama3"},
                          {"factor", 32.0},
                          {"low_freq_factor", 1.0},
                          {"high_freq_factor", 4.0},
                          {"original_max_position_embeddings", 4096}};
  write_text(folder.file("config.json"), boost::json::serialize(json));
  ModelConfig read = models::open_model_file(folder.path().string())->config();
  EXPECT_EQ(500000.0, read.rope_theta);
  EXPECT_EQ(32.0, read.rope_scaling.factor);
  EXPECT_EQ(4096, read.rope_scaling.original_context);

  json.erase("rope_scaling");
  json["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 1234.0}};
  json["model_type"] = "mistral";
  json["sliding_window"] = 8;
  write_text(folder.file("config.json"), boost::json::serialize(json));
  read = models::open_model_file(folder.path().string())->config();
  EXPECT_EQ(1234.0, read.rope_theta);
  EXPECT_EQ(1.0, read.rope_scaling.factor);
  EXPECT_EQ(8, read.context_length);

  json["rope_parameters"] = {{"rope_type", "yarn"}};
  write_text(folder.file("config.json"), boost::json::serialize(json));
  EXPECT_EQ(ExitCode::kConfig, refusal(folder, "yarn"));
}

TEST(HfModel, WhatIsWrongIsNamed) {
  const ModelConfig config = testing::tiny_config();
  const TempDir folder;
  EXPECT_EQ(ExitCode::kIo, refusal(folder, "config.json"));
  boost::json::object json = hf_config(config);
  write_text(folder.file("config.json"), boost::json::serialize(json));
  EXPECT_EQ(ExitCode::kIo, refusal(folder, "safetensors"));
  TinyWeights weights = testing::tiny_weights(config);
  weights.erase("model.layers.1.self_attn.q_proj.weight");
  write_hf_weights(folder.file("model.safetensors"), weights, Dtype::kF32);
  EXPECT_EQ(ExitCode::kData, refusal(folder, "model.layers.1.self_attn.q_proj.weight"));
  write_hf_weights(folder.file("model.safetensors"), testing::tiny_weights(config), Dtype::kF32);
  json["intermediate_size"] = 21;
  write_text(folder.file("config.json"), boost::json::serialize(json));
  EXPECT_EQ(ExitCode::kData, refusal(folder, "[24, 21]"));
  json["model_type"] = "gemma3";
  write_text(folder.file("config.json"), boost::json::serialize(json));
  EXPECT_EQ(ExitCode::kConfig, refusal(folder, "gemma3"));
  write_text(folder.file("config.json"), R"({"model_type": "llama", "hidden_size": "wide"})");
  EXPECT_EQ(ExitCode::kData, refusal(folder, "hidden_size"));
  write_text(folder.file("config.json"), R"({"model_type": )");
  EXPECT_EQ(ExitCode::kData, refusal(folder, "byte 15"));
}

}  // namespace
}  // namespace orthant
