#include "models/formats/hf_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "models/formats/json_file.h"
#include "models/formats/model_tensors.h"

namespace orthant::models {
namespace {

int64_t required_integer(const JsonFields& fields, std::string_view key) {
  (void)fields.required(key);
  return *fields.integer(key);
}

RopeScaling read_scaling(const JsonFields& fields, const std::string& path) {
  const std::string type = fields.text("rope_type").value_or(fields.text("type").value_or("default"));
  if (type == "default") return {};
  if (type != "llama3" && type != "linear")
    throw_unsupported_feature(path, fmt::format("RoPE scaling \"{}\"", type));
  RopeScaling scaling{.factor = fields.real("factor").value_or(1.0)};
  if (type == "linear") {
    scaling.original_context = 0;
    return scaling;
  }
  scaling.low_frequency_factor = fields.real("low_freq_factor").value_or(scaling.low_frequency_factor);
  scaling.high_frequency_factor = fields.real("high_freq_factor").value_or(scaling.high_frequency_factor);
  scaling.original_context = required_integer(fields, "original_max_position_embeddings");
  return scaling;
}

// Newer files keep theta and scaling together in rope_parameters.
void read_rope(const JsonFields& fields, const std::string& path, ModelConfig& config) {
  config.rope_theta = fields.real("rope_theta").value_or(10000.0);
  for (const std::string_view key : {"rope_parameters", "rope_scaling"}) {
    const boost::json::value* value = fields.find(key);
    if (value == nullptr) continue;
    const JsonFields rope(*value, path, key);
    config.rope_theta = rope.real("rope_theta").value_or(config.rope_theta);
    config.rope_scaling = read_scaling(rope, path);
    return;
  }
}

void refuse_variants(const JsonFields& fields, const std::string& path) {
  const std::string activation = fields.text("hidden_act").value_or("silu");
  if (activation != "silu") throw_unsupported_feature(path, fmt::format("the activation \"{}\"", activation));
  if (fields.boolean("mlp_bias").value_or(false)) throw_unsupported_feature(path, "biases of the MLP");
  if (fields.find("quantization_config") != nullptr) throw_unsupported_feature(path, "quantised weights");
  if (fields.real("partial_rotary_factor").value_or(1.0) != 1.0) {
    throw_unsupported_feature(path, "rotary embedding of a part of each head");
  }
}

// Attention over more than the window would differ from the model's: the context ends there.
void limit_to_window(const JsonFields& fields, ModelConfig& config) {
  const bool used = fields.boolean("use_sliding_window").value_or(config.architecture != "qwen2");
  const int64_t window = fields.integer("sliding_window").value_or(0);
  if (used && window > 0) config.context_length = std::min(config.context_length, window);
}

}  // namespace

ModelConfig read_hf_config(const std::string& path) {
  const boost::json::value parsed = read_json_file(path);
  const JsonFields fields(parsed, path, "the whole");
  ModelConfig config;
  config.architecture = fields.text("model_type").value_or("");
  if (config.architecture != "llama" && config.architecture != "mistral" && config.architecture != "qwen2") {
    throw_unsupported_architecture(path, config.architecture);
  }
  refuse_variants(fields, path);
  const std::string folder = std::filesystem::absolute(path).parent_path().filename().string();
  config.name = fields.text("_name_or_path").value_or(folder);
  config.d_model = required_integer(fields, "hidden_size");
  config.layers = required_integer(fields, "num_hidden_layers");
  config.heads = required_integer(fields, "num_attention_heads");
  config.kv_heads = fields.integer("num_key_value_heads").value_or(config.heads);
  const int64_t even_share = config.heads > 0 ? config.d_model / config.heads : 0;
  config.head_dim = fields.integer("head_dim").value_or(even_share);
  config.d_mlp = required_integer(fields, "intermediate_size");
  config.vocabulary = required_integer(fields, "vocab_size");
  config.context_length = fields.integer("max_position_embeddings").value_or(2048);
  config.rms_epsilon = static_cast<float>(fields.real("rms_norm_eps").value_or(1e-6));
  config.tied_embeddings = fields.boolean("tie_word_embeddings").value_or(false);
  config.qkv_bias = fields.boolean("attention_bias").value_or(config.architecture == "qwen2");
  limit_to_window(fields, config);
  read_rope(fields, path, config);
  check_config(config, path);
  return config;
}

}  // namespace orthant::models
