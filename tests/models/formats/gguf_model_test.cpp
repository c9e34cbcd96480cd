#include "models/formats/gguf_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "models/formats/rope_factors.h"
#include "runtime/core/error.h"
#include "tests/support/code_of.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_model.h"
#include "tests/support/tiny_gguf.h"
#include "tests/support/tiny_models.h"

namespace orthant {
namespace {

using models::ModelConfig;
using testing::GgufBuilder;
using ::testing::HasSubstr;
using testing::TempDir;
using testing::TinyTensor;

std::string write_tiny(const TempDir& directory, const ModelConfig& config) {
  GgufBuilder builder = testing::gguf_metadata(config);
  testing::add_gguf_weights(builder, config, testing::tiny_weights(config));
  builder.write(directory.file("tiny.gguf"));
  return directory.file("tiny.gguf");
}

ExitCode code_of(const std::string& path, std::string* message = nullptr) {
  return testing::code_of([&] { (void)models::open_gguf_model(path); }, message);
}

void expect_weights(const models::ModelFile& file, const testing::TinyWeights& weights) {
  for (const auto& [name, tensor] : weights) {
    EXPECT_TRUE(file.has(name)) << name;
    EXPECT_EQ(tensor.shape, file.shape(name)) << name;
    std::vector<float> values(tensor.values.size());
    file.read(name, values);
    EXPECT_EQ(tensor.values, values) << name;
  }
}

TEST(GgufModel, LlamaComesBackInHuggingFaceNamesAndLayout) {
  const TempDir directory;
  const ModelConfig config = testing::tiny_config();
  const auto file = models::open_gguf_model(write_tiny(directory, config));
  expect_weights(*file, testing::tiny_weights(config));
  EXPECT_FALSE(file->has("lm_head.weight"));
  EXPECT_TRUE(file->config().tied_embeddings);
  EXPECT_FALSE(file->config().qkv_bias);
  EXPECT_EQ(6, file->config().head_dim);
  EXPECT_EQ(2, file->config().kv_heads);
  EXPECT_EQ(11, file->config().vocabulary);
  EXPECT_EQ("tiny", file->config().name);
  EXPECT_EQ(1.0, file->config().rope_scaling.factor);
  EXPECT_EQ("gguf F32", file->description());
  EXPECT_EQ(32u, file->identity().size());
}

TEST(GgufModel, Qwen2HasBiasesAndIsNotPermuted) {
  const TempDir directory;
  ModelConfig config = testing::tiny_config();
  config.architecture = "qwen2";
  config.tied_embeddings = false;
  config.qkv_bias = true;
  const auto file = models::open_gguf_model(write_tiny(directory, config));
  expect_weights(*file, testing::tiny_weights(config));
  EXPECT_TRUE(file->config().qkv_bias);
  EXPECT_FALSE(file->config().tied_embeddings);
}

TEST(GgufModel, BiasesOfLlamaArePermutedWithTheirRows) {
  const TempDir directory;
  ModelConfig config = testing::tiny_config();
  config.qkv_bias = true;
  expect_weights(*models::open_gguf_model(write_tiny(directory, config)), testing::tiny_weights(config));
}

TEST(GgufModel, IdentityFollowsTheWeights) {
  const TempDir directory;
  ModelConfig config = testing::tiny_config();
  const std::string first = models::open_gguf_model(write_tiny(directory, config))->identity();
  EXPECT_EQ(first, models::open_gguf_model(write_tiny(directory, config))->identity());
  config.rms_epsilon = 1e-6f;
  EXPECT_NE(first, models::open_gguf_model(write_tiny(directory, config))->identity());
}

TEST(GgufModel, Llama3ScalingIsRecoveredFromItsTable) {
  const TempDir directory;
  ModelConfig config = testing::tiny_config();
  config.rope_theta = 500000.0;
  config.head_dim = 64;
  const models::RopeScaling scaling{.factor = 8.0};
  const auto divisors = models::rope_divisors(scaling, config.rope_theta, config.head_dim);
  GgufBuilder builder = testing::gguf_metadata(config);
  builder.value("llama.attention.key_length", uint32_t{64});
  testing::add_gguf_weights(builder, config, testing::tiny_weights(config));
  builder.tensor_f32("rope_freqs.weight", {32}, std::vector<float>(divisors.begin(), divisors.end()));
  builder.write(directory.file("scaled.gguf"));
  const auto file = models::open_gguf_model(directory.file("scaled.gguf"));
  EXPECT_NEAR(8.0, file->config().rope_scaling.factor, 1e-5);
  EXPECT_EQ(4.0, file->config().rope_scaling.high_frequency_factor);
  EXPECT_EQ(8192, file->config().rope_scaling.original_context);
}

TEST(GgufModel, LinearScalingDividesEveryFrequency) {
  const TempDir directory;
  const ModelConfig config = testing::tiny_config();
  GgufBuilder builder = testing::gguf_metadata(config);
  builder.value("llama.rope.scaling.type", "linear").value("llama.rope.scaling.factor", 2.5f);
  testing::add_gguf_weights(builder, config, testing::tiny_weights(config));
  builder.write(directory.file("linear.gguf"));
  const auto scaling = models::open_gguf_model(directory.file("linear.gguf"))->config().rope_scaling;
  for (const double divisor : models::rope_divisors(scaling, config.rope_theta, config.head_dim)) {
    EXPECT_DOUBLE_EQ(2.5, divisor);
  }
}

TEST(GgufModel, UnsupportedThingsAreNamed) {
  const TempDir directory;
  ModelConfig config = testing::tiny_config();
  std::string message;
  config.architecture = "gemma3";
  EXPECT_EQ(ExitCode::kConfig, code_of(write_tiny(directory, config), &message));
  EXPECT_THAT(message, HasSubstr("\"gemma3\""));
  EXPECT_THAT(message, HasSubstr("llama, mistral and qwen2"));

  config.architecture = "llama";
  GgufBuilder yarn = testing::gguf_metadata(config);
  yarn.value("llama.rope.scaling.type", "yarn");
  testing::add_gguf_weights(yarn, config, testing::tiny_weights(config));
  yarn.write(directory.file("yarn.gguf"));
  EXPECT_EQ(ExitCode::kConfig, code_of(directory.file("yarn.gguf"), &message));
  EXPECT_THAT(message, HasSubstr("yarn"));

  GgufBuilder two_bit = testing::gguf_metadata(config);
  auto weights = testing::tiny_weights(config);
  weights.erase("model.layers.1.mlp.up_proj.weight");
  testing::add_gguf_weights(two_bit, config, weights);
  two_bit.tensor("blk.1.ffn_up.weight", {20, 24}, 10, std::string(1000, '\0'));
  two_bit.write(directory.file("two_bit.gguf"));
  EXPECT_EQ(ExitCode::kConfig, code_of(directory.file("two_bit.gguf"), &message));
  EXPECT_THAT(message, HasSubstr("blk.1.ffn_up.weight"));
  EXPECT_THAT(message, HasSubstr("Q2_K"));
  EXPECT_THAT(message, HasSubstr("Q4_K"));
}

TEST(GgufModel, WrongShapeAndAbsentTensorNameBoth) {
  const TempDir directory;
  const ModelConfig config = testing::tiny_config();
  auto weights = testing::tiny_weights(config);
  weights["model.layers.0.mlp.down_proj.weight"].shape = {20, 24};
  GgufBuilder builder = testing::gguf_metadata(config);
  testing::add_gguf_weights(builder, config, weights);
  builder.write(directory.file("shape.gguf"));
  std::string message;
  EXPECT_EQ(ExitCode::kData, code_of(directory.file("shape.gguf"), &message));
  EXPECT_THAT(message, HasSubstr("down_proj.weight"));
  EXPECT_THAT(message, HasSubstr("[20, 24]"));
  EXPECT_THAT(message, HasSubstr("[24, 20]"));
  EXPECT_THAT(message, HasSubstr("shape.gguf"));

  weights = testing::tiny_weights(config);
  weights.erase("model.norm.weight");
  GgufBuilder incomplete = testing::gguf_metadata(config);
  testing::add_gguf_weights(incomplete, config, weights);
  incomplete.write(directory.file("incomplete.gguf"));
  EXPECT_EQ(ExitCode::kData, code_of(directory.file("incomplete.gguf"), &message));
  EXPECT_THAT(message, HasSubstr("output_norm.weight"));

  const auto file = models::open_gguf_model(write_tiny(directory, config));
  std::vector<float> too_small(23);
  EXPECT_THROW(file->read("model.norm.weight", too_small), Error);
  EXPECT_THROW(file->read("model.unknown.weight", too_small), Error);
  EXPECT_THROW((void)file->shape("lm_head.weight"), Error);
}

TEST(GgufModel, TruncatedAnywhereIsAnErrorAndNeverACrash) {
  const TempDir directory;
  const std::string whole_path = write_tiny(directory, testing::tiny_config());
  std::ifstream stream(whole_path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  const std::string path = directory.file("cut.gguf");
  for (size_t size = 0; size < whole.size(); size += size < 4000 ? 7 : 997) {
    std::ofstream(path, std::ios::binary) << whole.substr(0, size);
    std::string message;
    ASSERT_EQ(ExitCode::kData, code_of(path, &message)) << "cut at " << size;
    ASSERT_THAT(message, HasSubstr("cut.gguf"));
    ASSERT_THAT(message, HasSubstr("byte"));
  }
}

TEST(GgufModel, DamagedBytesNeverCrash) {
  const TempDir directory;
  const std::string whole_path = write_tiny(directory, testing::tiny_config());
  std::ifstream stream(whole_path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  const std::string path = directory.file("damaged.gguf");
  int refused = 0;
  for (uint32_t round = 0; round < 600; ++round) {
    std::string damaged = whole;
    const uint64_t draw = random_u64(11, Purpose::kTest, round, 0);
    damaged[draw % 2600] = static_cast<char>(draw >> 32);  // header, metadata and tensor table
    std::ofstream(path, std::ios::binary) << damaged;
    const ExitCode code = code_of(path);
    ASSERT_TRUE(code == ExitCode::kDone || code == ExitCode::kData || code == ExitCode::kConfig) << round;
    if (code != ExitCode::kDone) ++refused;
  }
  EXPECT_GT(refused, 100);
}

TEST(GgufModel, VersionsAndByteOrderAreChecked) {
  const TempDir directory;
  const ModelConfig config = testing::tiny_config();
  GgufBuilder builder = testing::gguf_metadata(config);
  testing::add_gguf_weights(builder, config, testing::tiny_weights(config));
  const std::string path = directory.file("version.gguf");
  const auto write = [&](const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; };
  std::string message;
  write(builder.bytes(2));
  EXPECT_EQ(ExitCode::kDone, code_of(path));
  write(builder.bytes(1));
  EXPECT_EQ(ExitCode::kData, code_of(path, &message));
  EXPECT_THAT(message, HasSubstr("version 1"));
  write(builder.bytes(3u << 24));
  EXPECT_EQ(ExitCode::kData, code_of(path, &message));
  EXPECT_THAT(message, HasSubstr("big-endian"));
}

TEST(GgufModel, RealModelIsWhatItsSummarySays) {
  ORTHANT_NEEDS_TEST_MODEL();
  const auto file = models::open_gguf_model(testing::test_model());
  const ModelConfig& config = file->config();
  if (config.name.find("Smollm2 135M") == std::string::npos) GTEST_SKIP() << "the facts are SmolLM2-135M's";
  EXPECT_EQ("llama", config.architecture);
  EXPECT_EQ(30, config.layers);
  EXPECT_EQ(576, config.d_model);
  EXPECT_EQ(1536, config.d_mlp);
  EXPECT_EQ(9, config.heads);
  EXPECT_EQ(3, config.kv_heads);
  EXPECT_EQ(64, config.head_dim);
  EXPECT_EQ(49152, config.vocabulary);
  EXPECT_EQ(8192, config.context_length);
  EXPECT_EQ(100000.0, config.rope_theta);
  EXPECT_EQ(1e-5f, config.rms_epsilon);
  EXPECT_TRUE(config.tied_embeddings);
  int64_t parameters = 0;
  for (const auto& [name, shape] : models::model_tensors(config)) {
    parameters += shape.size() == 2 ? shape[0] * shape[1] : shape[0];
  }
  EXPECT_EQ(134515008, parameters);
  EXPECT_EQ("gguf Q4_1", file->description());
}

}  // namespace
}  // namespace orthant
