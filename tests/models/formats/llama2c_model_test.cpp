#include "models/formats/llama2c_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/storage/file.h"
#include "tests/support/code_of.h"
#include "tests/support/shared_files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_models.h"
#include "tests/support/tiny_tokenizers.h"

namespace orthant {
namespace {

using models::ModelConfig;
using ::testing::HasSubstr;
using testing::TempDir;

constexpr const char* kStories = "data/models/stories260K/stories260K.bin";

void append(std::string& file, const std::vector<float>& values) {
  file.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

// Row 2i + c of a head is row c * half + i of the rotate-half layout.
std::vector<float> interleaved(const testing::TinyTensor& tensor, int64_t head_dim) {
  const auto columns = static_cast<size_t>(tensor.shape[1]);
  std::vector<float> result;
  for (int64_t row = 0; row < tensor.shape[0]; ++row) {
    const int64_t within = row % head_dim;
    const auto source = static_cast<size_t>(row - within + within % 2 * head_dim / 2 + within / 2);
    const auto begin = tensor.values.begin() + static_cast<std::ptrdiff_t>(source * columns);
    result.insert(result.end(), begin, begin + static_cast<std::ptrdiff_t>(columns));
  }
  return result;
}

std::string checkpoint(const ModelConfig& config, const testing::TinyWeights& weights) {
  const auto vocabulary =
      static_cast<int32_t>(config.tied_embeddings ? config.vocabulary : -config.vocabulary);
  std::string file;
  for (const int64_t size : {config.d_model, config.d_mlp, config.layers, config.heads, config.kv_heads,
                             int64_t{vocabulary}, config.context_length}) {
    const auto word = static_cast<int32_t>(size);
    file.append(reinterpret_cast<const char*>(&word), sizeof(word));
  }
  append(file, weights.at("model.embed_tokens.weight").values);
  for (const std::string name :
       {"input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
        "post_attention_layernorm", "mlp.gate_proj", "mlp.down_proj", "mlp.up_proj"}) {
    const bool rotated = name.ends_with("q_proj") || name.ends_with("k_proj");
    for (int64_t layer = 0; layer < config.layers; ++layer) {
      const auto& tensor = weights.at("model.layers." + std::to_string(layer) + "." + name + ".weight");
      append(file, rotated ? interleaved(tensor, config.head_dim) : tensor.values);
    }
  }
  append(file, weights.at("model.norm.weight").values);
  append(file, std::vector<float>(static_cast<size_t>(config.context_length * config.head_dim), -9.0f));
  if (!config.tied_embeddings) append(file, weights.at("lm_head.weight").values);
  return file;
}

TEST(Llama2cModel, TiedAndUntiedCheckpointsComeBack) {
  for (const bool tied : {true, false}) {
    const TempDir folder;
    ModelConfig config = testing::tiny_config();
    config.tied_embeddings = tied;
    const auto weights = testing::tiny_weights(config);
    testing::write_text(folder.file("tiny.bin"), checkpoint(config, weights));
    const auto file = models::open_model_file(folder.file("tiny.bin"));
    for (const auto& [name, tensor] : weights) {
      std::vector<float> values(tensor.values.size());
      file->read(name, values);
      EXPECT_EQ(tensor.values, values) << name;
      EXPECT_EQ(tensor.shape, file->shape(name));
    }
    EXPECT_EQ(tied, !file->has("lm_head.weight"));
    EXPECT_EQ("llama2.c", file->description());
    EXPECT_EQ(1e-5f, file->config().rms_epsilon);
    EXPECT_EQ(10000.0, file->config().rope_theta);
  }
}

TEST(Llama2cModel, AnyOtherSizeIsRefused) {
  const TempDir folder;
  const ModelConfig config = testing::tiny_config();
  const std::string whole = checkpoint(config, testing::tiny_weights(config));
  const auto code_of = [&folder](const std::string& content) {
    testing::write_text(folder.file("cut.bin"), content);
    std::string message;
    const ExitCode code =
        testing::code_of([&] { (void)models::open_model_file(folder.file("cut.bin")); }, &message);
    EXPECT_THAT(message, HasSubstr("cut.bin"));
    return code;
  };
  for (size_t size = 0; size < whole.size(); size += size < 40 ? 1 : 501) {
    ASSERT_EQ(ExitCode::kData, code_of(whole.substr(0, size))) << size;
  }
  EXPECT_EQ(ExitCode::kData, code_of(whole + "more"));
  EXPECT_EQ(ExitCode::kData, code_of("PK\x03\x04 an archive of pickled weights, as older releases have it"));
  EXPECT_EQ(ExitCode::kData, code_of(std::string(100, '\x7F')));
  EXPECT_EQ(ExitCode::kConfig, code_of("24ka" + whole.substr(4)));
}

TEST(Llama2cModel, Stories260K) {
  ORTHANT_NEEDS_SHARED(kStories);
  const auto file = models::open_model_file((testing::shared_folder() / kStories).string());
  EXPECT_EQ(64, file->config().d_model);
  EXPECT_EQ(172, file->config().d_mlp);
  EXPECT_EQ(5, file->config().layers);
  EXPECT_EQ(8, file->config().heads);
  EXPECT_EQ(4, file->config().kv_heads);
  EXPECT_EQ(512, file->config().vocabulary);
  EXPECT_EQ(512, file->config().context_length);
  EXPECT_TRUE(file->config().tied_embeddings);
}

TEST(OpenModelFile, AbsentAndUnknownFilesAreNamed) {
  const TempDir folder;
  const auto message_of = [](const std::string& path, ExitCode expected) {
    try {
      (void)models::open_model_file(path);
    } catch (const Error& error) {
      EXPECT_EQ(expected, error.code());
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(message_of(folder.file("none.gguf"), ExitCode::kIo), HasSubstr("none.gguf"));
  testing::write_text(folder.file("x.gguf"), "not at all");
  EXPECT_THAT(message_of(folder.file("x.gguf"), ExitCode::kData), HasSubstr("GGUF"));
  testing::write_text(folder.file("x.pt"), "not at all");
  EXPECT_THAT(message_of(folder.file("x.pt"), ExitCode::kData), HasSubstr("llama2.c .bin"));
}

}  // namespace
}  // namespace orthant
