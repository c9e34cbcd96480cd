#include "models/formats/gguf_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "kernels/dense/dequantise.h"
#include "models/formats/gguf.h"
#include "models/formats/model_tensors.h"
#include "models/formats/rope_factors.h"
#include "models/formats/rope_layout.h"
#include "runtime/core/error.h"
#include "runtime/core/hash.h"

namespace orthant::models {
namespace {

// What GGUF calls the tensors of block L after "blk.L.", and what Hugging Face calls them after
// "model.layers.L.".
constexpr std::pair<std::string_view, std::string_view> kBlockNames[] = {
    {"attn_norm.weight", "input_layernorm.weight"}, {"ffn_norm.weight", "post_attention_layernorm.weight"},
    {"attn_q.weight", "self_attn.q_proj.weight"},   {"attn_k.weight", "self_attn.k_proj.weight"},
    {"attn_v.weight", "self_attn.v_proj.weight"},   {"attn_output.weight", "self_attn.o_proj.weight"},
    {"attn_q.bias", "self_attn.q_proj.bias"},       {"attn_k.bias", "self_attn.k_proj.bias"},
    {"attn_v.bias", "self_attn.v_proj.bias"},       {"ffn_gate.weight", "mlp.gate_proj.weight"},
    {"ffn_up.weight", "mlp.up_proj.weight"},        {"ffn_down.weight", "mlp.down_proj.weight"}};

std::map<std::string, std::string, std::less<>> gguf_names(int64_t layers) {
  std::map<std::string, std::string, std::less<>> names = {{"model.embed_tokens.weight", "token_embd.weight"},
                                                           {"model.norm.weight", "output_norm.weight"},
                                                           {"lm_head.weight", "output.weight"}};
  for (int64_t layer = 0; layer < layers; ++layer) {
    for (const auto& [gguf, canonical] : kBlockNames) {
      names[fmt::format("model.layers.{}.{}", layer, canonical)] = fmt::format("blk.{}.{}", layer, gguf);
    }
  }
  return names;
}

int64_t required_integer(const GgufFile& file, const std::string& key) {
  if (const auto value = file.integer(key)) return *value;
  throw Error(ExitCode::kData, {.problem = fmt::format("{} has no metadata value {}", file.path(), key),
                                .why = "the architecture requires it",
                                .suggestion = "convert the model again with current tools"});
}

const GgufTensor& required_tensor(const GgufFile& file, std::string_view name) {
  const auto found = file.tensors().find(name);
  if (found == file.tensors().end()) throw_absent_tensor(file.path(), name);
  return found->second;
}

void widen(GgmlType type, std::span<const std::byte> blocks, std::span<float> into) {
  Stream stream;
  kernels::dequantise(type, {blocks.data(), {static_cast<int64_t>(blocks.size())}},
                      {into.data(), {static_cast<int64_t>(into.size())}}, stream);
}

RopeScaling scaling_from_table(const GgufFile& file, const GgufTensor& table, const ModelConfig& config) {
  if (table.type != GgmlType::kF32 || table.shape != std::vector<int64_t>{config.head_dim / 2}) {
    throw Error(ExitCode::kData,
                {.problem = fmt::format("tensor rope_freqs.weight of {} is damaged", file.path()),
                 .why = fmt::format("expected F32 of shape [{}]", config.head_dim / 2),
                 .suggestion = "fetch the file again"});
  }
  std::vector<float> divisors(static_cast<size_t>(config.head_dim / 2));
  widen(table.type, table.bytes, divisors);
  const auto scaling = scaling_from_divisors(divisors, config.rope_theta);
  if (!scaling)
    throw_unsupported_feature(file.path(), "a RoPE frequency table that is not Llama 3's scaling");
  return *scaling;
}

RopeScaling read_scaling(const GgufFile& file, const std::string& prefix, const ModelConfig& config) {
  const auto table = file.tensors().find("rope_freqs.weight");
  if (table != file.tensors().end()) return scaling_from_table(file, table->second, config);
  const std::string_view type = file.text(prefix + "rope.scaling.type").value_or("none");
  if (type == "none") return {};
  if (type != "linear") throw_unsupported_feature(file.path(), fmt::format("RoPE scaling \"{}\"", type));
  return {.factor = file.real(prefix + "rope.scaling.factor").value_or(1.0), .original_context = 0};
}

void refuse_variants(const GgufFile& file, const std::string& prefix, const ModelConfig& config) {
  if (file.integer(prefix + "expert_count").value_or(0) > 0) {
    throw_unsupported_feature(file.path(), "a mixture of experts");
  }
  if (file.integer(prefix + "attention.value_length").value_or(config.head_dim) != config.head_dim) {
    throw_unsupported_feature(file.path(), "values and keys of different sizes");
  }
  if (file.integer(prefix + "rope.dimension_count").value_or(config.head_dim) != config.head_dim) {
    throw_unsupported_feature(file.path(), "rotary embedding of a part of each head");
  }
  if (file.tensors().contains("blk.0.attn_output.bias") || file.tensors().contains("blk.0.ffn_gate.bias")) {
    throw_unsupported_feature(file.path(), "biases of the output or MLP projections");
  }
}

ModelConfig read_config(const GgufFile& file) {
  ModelConfig config;
  config.architecture = file.text("general.architecture").value_or("");
  if (config.architecture != "llama" && config.architecture != "qwen2") {
    throw_unsupported_architecture(file.path(), config.architecture);
  }
  const std::string prefix = config.architecture + ".";
  config.name = file.text("general.name").value_or("");
  config.d_model = required_integer(file, prefix + "embedding_length");
  config.layers = required_integer(file, prefix + "block_count");
  config.heads = required_integer(file, prefix + "attention.head_count");
  config.kv_heads = file.integer(prefix + "attention.head_count_kv").value_or(config.heads);
  config.d_mlp = required_integer(file, prefix + "feed_forward_length");
  config.context_length = required_integer(file, prefix + "context_length");
  const int64_t even_share = config.heads > 0 ? config.d_model / config.heads : 0;
  config.head_dim = file.integer(prefix + "attention.key_length").value_or(even_share);
  config.vocabulary = required_tensor(file, "token_embd.weight").shape.front();
  config.rope_theta = file.real(prefix + "rope.freq_base").value_or(10000.0);
  config.rms_epsilon =
      static_cast<float>(file.real(prefix + "attention.layer_norm_rms_epsilon").value_or(1e-5));
  config.tied_embeddings = !file.tensors().contains("output.weight");
  config.qkv_bias = file.tensors().contains("blk.0.attn_q.bias");
  if (const auto window = file.integer(prefix + "attention.sliding_window"); window && *window > 0) {
    config.context_length = std::min(config.context_length, *window);
  }
  check_config(config, file.path());
  refuse_variants(file, prefix, config);
  config.rope_scaling = read_scaling(file, prefix, config);
  check_config(config, file.path());
  return config;
}

bool is_rotated(std::string_view name) {
  return name.find(".q_proj.") != std::string_view::npos || name.find(".k_proj.") != std::string_view::npos;
}

class GgufModel final : public ModelFile {
 public:
  explicit GgufModel(const std::string& path)
      : file_(path), config_(read_config(file_)), names_(gguf_names(config_.layers)) {
    for (const auto& [name, shape] : model_tensors(config_)) (void)tensor(name);
    check_tensors(*this, path);
  }

  [[nodiscard]] const ModelConfig& config() const override { return config_; }

  [[nodiscard]] bool has(std::string_view name) const override {
    const auto found = names_.find(name);
    return found != names_.end() && file_.tensors().contains(found->second);
  }

  [[nodiscard]] std::vector<int64_t> shape(std::string_view name) const override {
    return tensor(name).shape;
  }

  void read(std::string_view name, std::span<float> into) const override {
    check_destination(file_.path(), name, tensor(name).shape, into);
    const StoredTensor from = *stored(name);
    if (from.rows.empty()) return widen(from.type, from.blocks, into);
    std::vector<float> values(into.size());
    widen(from.type, from.blocks, values);
    const auto columns = into.size() / from.rows.size();
    for (size_t row = 0; row < from.rows.size(); ++row) {
      const auto source = values.begin() + static_cast<std::ptrdiff_t>(from.rows[row] * columns);
      std::copy_n(source, columns, into.begin() + static_cast<std::ptrdiff_t>(row * columns));
    }
  }

  [[nodiscard]] std::optional<StoredTensor> stored(std::string_view name) const override {
    const GgufTensor& found = tensor(name);
    StoredTensor from{.type = found.type, .blocks = found.bytes};
    // Files of architecture llama hold q and k for interleaved rotary pairs.
    if (config_.architecture != "llama" || !is_rotated(name)) return from;
    for (int64_t row = 0; row < found.shape.front(); ++row) {
      from.rows.push_back(static_cast<int32_t>(interleaved_row(row, config_.head_dim)));
    }
    return from;
  }

  [[nodiscard]] std::string description() const override {
    return "gguf " + ggml_name(tensor("model.layers.0.mlp.up_proj.weight").type);
  }

  [[nodiscard]] std::string identity() const override {
    std::call_once(hashed_, [this] {
      hash_ = to_hex(hash128(file_.bytes().data(), static_cast<int64_t>(file_.bytes().size())));
    });
    return hash_;
  }

 private:
  [[nodiscard]] const GgufTensor& tensor(std::string_view name) const {
    const auto found = names_.find(name);
    if (found == names_.end()) throw_absent_tensor(file_.path(), name);
    const GgufTensor& result = required_tensor(file_, found->second);
    if (kernels::block_format(result.type).values > 0) return result;
    throw Error(ExitCode::kConfig, {.problem = fmt::format("tensor {} of {} is stored as {}", found->second,
                                                           file_.path(), ggml_name(result.type)),
                                    .why = fmt::format("{} can be read", readable_ggml_types()),
                                    .suggestion = "use the model in another quantisation"});
  }

  GgufFile file_;
  ModelConfig config_;
  std::map<std::string, std::string, std::less<>> names_;
  mutable std::once_flag hashed_;
  mutable std::string hash_;
};

}  // namespace

std::unique_ptr<ModelFile> open_gguf_model(const std::string& path) {
  return std::make_unique<GgufModel>(path);
}

}  // namespace orthant::models
