#include "models/formats/model_tensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

constexpr int64_t kLargestExtent = int64_t{1} << 31;

std::string written(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace

std::map<std::string, std::vector<int64_t>, std::less<>> model_tensors(const ModelConfig& config) {
  const int64_t d = config.d_model;
  const int64_t q = config.heads * config.head_dim;
  const int64_t kv = config.kv_heads * config.head_dim;
  std::map<std::string, std::vector<int64_t>, std::less<>> tensors;
  tensors["model.embed_tokens.weight"] = {config.vocabulary, d};
  tensors["model.norm.weight"] = {d};
  if (!config.tied_embeddings) tensors["lm_head.weight"] = {config.vocabulary, d};
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const std::string block = fmt::format("model.layers.{}.", layer);
    tensors[block + "input_layernorm.weight"] = {d};
    tensors[block + "post_attention_layernorm.weight"] = {d};
    tensors[block + "self_attn.q_proj.weight"] = {q, d};
    tensors[block + "self_attn.k_proj.weight"] = {kv, d};
    tensors[block + "self_attn.v_proj.weight"] = {kv, d};
    tensors[block + "self_attn.o_proj.weight"] = {d, q};
    tensors[block + "mlp.gate_proj.weight"] = {config.d_mlp, d};
    tensors[block + "mlp.up_proj.weight"] = {config.d_mlp, d};
    tensors[block + "mlp.down_proj.weight"] = {d, config.d_mlp};
    if (!config.qkv_bias) continue;
    tensors[block + "self_attn.q_proj.bias"] = {q};
    tensors[block + "self_attn.k_proj.bias"] = {kv};
    tensors[block + "self_attn.v_proj.bias"] = {kv};
  }
  return tensors;
}

void check_config(const ModelConfig& config, const std::string& path) {
  const auto refuse = [&path](std::string why) {
    throw Error(ExitCode::kData, {.problem = fmt::format("{} describes an impossible model", path),
                                  .why = std::move(why),
                                  .suggestion = "check that the file is complete"});
  };
  const std::pair<std::string_view, int64_t> sizes[] = {
      {"d_model", config.d_model},       {"the number of layers", config.layers},
      {"heads", config.heads},           {"kv_heads", config.kv_heads},
      {"head_dim", config.head_dim},     {"d_mlp", config.d_mlp},
      {"vocabulary", config.vocabulary}, {"context_length", config.context_length}};
  for (const auto& [name, value] : sizes) {
    if (value <= 0 || value >= kLargestExtent) refuse(fmt::format("{} is {}", name, value));
  }
  if (config.layers > 65536) refuse(fmt::format("the number of layers is {}", config.layers));
  if (config.heads % config.kv_heads != 0) {
    refuse(fmt::format("{} heads cannot share {} key/value heads", config.heads, config.kv_heads));
  }
  if (config.head_dim % 2 != 0) refuse(fmt::format("head_dim {} is odd", config.head_dim));
  if (!(config.rope_theta > 0.0)) refuse(fmt::format("rope_theta is {}", config.rope_theta));
  if (!(config.rms_epsilon >= 0.0f)) refuse(fmt::format("rms_epsilon is {}", config.rms_epsilon));
  if (!(config.rope_scaling.factor > 0.0)) refuse(fmt::format("RoPE factor {}", config.rope_scaling.factor));
}

void check_tensors(const ModelFile& file, const std::string& path) {
  for (const auto& [name, expected] : model_tensors(file.config())) {
    if (!file.has(name)) throw_absent_tensor(path, name);
    const std::vector<int64_t> found = file.shape(name);
    if (found == expected) continue;
    throw Error(ExitCode::kData,
                {.problem = fmt::format("tensor {} of {} has shape {}", name, path, written(found)),
                 .why = fmt::format("the model's configuration asks for {}", written(expected)),
                 .suggestion = "check that configuration and weights belong together"});
  }
}

void check_destination(const std::string& path, std::string_view name, std::span<const int64_t> shape,
                       std::span<const float> into) {
  int64_t values = 1;
  for (const int64_t extent : shape) values *= extent;
  if (values == static_cast<int64_t>(into.size())) return;
  throw Error(ExitCode::kData,
              {.problem = fmt::format("tensor {} of {} has shape {}", name, path, written(shape)),
               .why = fmt::format("{} values are expected here and it has {}", into.size(), values),
               .suggestion = {}});
}

void throw_absent_tensor(const std::string& path, std::string_view name) {
  throw Error(ExitCode::kData, {.problem = fmt::format("{} has no tensor {}", path, name),
                                .why = "the model's configuration asks for it",
                                .suggestion = "check that all files of the model are there"});
}

void throw_unsupported_architecture(const std::string& path, std::string_view architecture) {
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("{} is a model of architecture \"{}\"", path, architecture),
               .why = "llama, mistral and qwen2 are supported",
               .suggestion = "use a model of one of these architectures"});
}

void throw_unsupported_feature(const std::string& path, std::string_view what) {
  throw Error(ExitCode::kConfig, {.problem = fmt::format("{} uses {}", path, what),
                                  .why = "this variant of the architecture is not supported",
                                  .suggestion = "use another model"});
}

}  // namespace orthant::models
