// Weights of a file in the memory of a device: the values that the file's reader gives.
#include <gtest/gtest.h>

#include <cstring>

#include "models/transformer/weights.h"
#include "runtime/core/rng.h"
#include "tests/device/device.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"
#include "tests/support/tiny_hf_model.h"

namespace orthant {
namespace {

using kernels::BlockType;

models::ModelConfig config_of(const std::string& architecture) {
  models::ModelConfig config = testing::tiny_config();
  config.architecture = architecture;
  config.d_model = 64;
  config.head_dim = 16;
  config.d_mlp = 32;
  config.qkv_bias = architecture == "qwen2";
  return config;
}

// Random blocks with scales that are finite.
std::string random_blocks(BlockType type, int64_t values) {
  const kernels::BlockFormat format = kernels::block_format(type);
  std::string bytes(static_cast<size_t>(values / format.values * format.bytes), '\0');
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(random_u64(7, Purpose::kTest, static_cast<uint32_t>(type), i));
    const auto within = static_cast<int64_t>(i) % format.bytes;
    if (within == 1 || within == 3) bytes[i] = static_cast<char>(bytes[i] & 0x3b);
  }
  return bytes;
}

BlockType type_of(const std::string& name) {
  const std::pair<const char*, BlockType> types[] = {
      {"q_proj.weight", BlockType::kQ4_1}, {"k_proj.weight", BlockType::kQ5_0},
      {"v_proj.weight", BlockType::kQ5_1}, {"o_proj.weight", BlockType::kQ8_0},
      {"gate_proj", BlockType::kF16},      {"up_proj", BlockType::kBF16},
      {"down_proj", BlockType::kQ4_0},     {"embed_tokens", BlockType::kQ8_0}};
  for (const auto& [part, type] : types) {
    if (name.find(part) != std::string::npos) return type;
  }
  return BlockType::kF32;
}

void write_quantised(const std::string& path, const models::ModelConfig& config) {
  testing::GgufBuilder builder = testing::gguf_metadata(config);
  for (const auto& [name, shape] : models::model_tensors(config)) {
    int64_t values = 1;
    for (const int64_t extent : shape) values *= extent;
    const BlockType type = type_of(name);
    builder.tensor(testing::gguf_name(name), shape, static_cast<uint32_t>(type), random_blocks(type, values));
  }
  builder.write(path);
}

class LoadWeightsOnDevice : public testing::DeviceTest {
 protected:
  void expect_values_of(const models::ModelFile& file) {
    const models::Weights weights = models::load_weights(file, {}, memory, stream);
    stream.synchronize();
    expect_same("model.embed_tokens.weight", file, testing::on_host(weights.embedding.view()));
    expect_same("model.norm.weight", file, testing::on_host(weights.final_norm.view()));
    for (size_t layer = 0; layer < weights.blocks.size(); ++layer) {
      const models::BlockWeights& block = weights.blocks[layer];
      const std::string name = "model.layers." + std::to_string(layer) + ".";
      for (const auto& [tensor, packed] :
           {std::pair{"self_attn.q_proj", &block.query}, std::pair{"self_attn.k_proj", &block.key},
            std::pair{"self_attn.v_proj", &block.value}, std::pair{"self_attn.o_proj", &block.output},
            std::pair{"mlp.gate_proj", &block.gate}, std::pair{"mlp.up_proj", &block.up},
            std::pair{"mlp.down_proj", &block.down}}) {
        expect_same(name + tensor + ".weight", file, operand_of(*packed));
      }
      if (!file.config().qkv_bias) continue;
      expect_same(name + "self_attn.q_proj.bias", file, testing::on_host(block.query_bias.view()));
      expect_same(name + "self_attn.k_proj.bias", file, testing::on_host(block.key_bias.view()));
    }
  }
  void expect_counted(const models::ModelFile& file) {
    Memory counted = Memory::counting(testing::device());
    Memory taken(testing::device());
    Stream nothing;
    (void)models::load_weights(file, {}, counted, nothing);
    (void)models::load_weights(file, {}, taken, stream);
    EXPECT_EQ(counted.allocated_bytes(), taken.allocated_bytes());
  }

  testing::TempDir dir;
  Memory memory{testing::device()};
  Stream stream{cuda_device_count() > 0 ? testing::device() : kCpu};

 private:
  static std::vector<float> operand_of(const kernels::PackedWeights& packed) {
    const auto* const values = reinterpret_cast<const float*>(packed.dense().rows);
    return testing::on_host(
        Vector<const float>{values, {packed.columns() * packed.depth()}, testing::device()});
  }
  static void expect_same(const std::string& name, const models::ModelFile& file,
                          const std::vector<float>& found) {
    std::vector<float> expected(found.size());
    file.read(name, expected);
    EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)), 0) << name;
  }
};

TEST_F(LoadWeightsOnDevice, QuantisedTensorsHaveTheBitsOfTheHost) {
  for (const char* const architecture : {"llama", "qwen2"}) {
    const std::string path = dir.file(std::string(architecture) + ".gguf");
    write_quantised(path, config_of(architecture));
    const auto file = models::open_model_file(path);
    expect_values_of(*file);
    expect_counted(*file);
  }
}

TEST_F(LoadWeightsOnDevice, SafetensorsHaveTheBitsOfTheHost) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kF16, Dtype::kBF16}) {
    const std::string folder = dir.file(std::string(name_of(dtype)));
    std::filesystem::create_directory(folder);
    const models::ModelConfig config = config_of("llama");
    testing::write_hf_config(folder, config);
    testing::write_hf_weights(folder + "/model.safetensors", testing::tiny_weights(config), dtype);
    const auto file = models::open_model_file(folder);
    expect_values_of(*file);
    expect_counted(*file);
  }
}

}  // namespace
}  // namespace orthant
