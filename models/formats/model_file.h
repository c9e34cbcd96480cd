// A language model on disk, whatever its format: what it is, and its tensors by one set of names and one
// layout.
//
// Tensor names and layouts are those of Hugging Face Llama checkpoints: "model.embed_tokens.weight"
// [vocabulary, d_model], "model.layers.L.{input_layernorm,post_attention_layernorm}.weight" [d_model],
// "model.layers.L.self_attn.{q,k,v,o}_proj.weight" [out, in] (".bias" [out] where qkv_bias),
// "model.layers.L.mlp.{gate,up,down}_proj.weight" [out, in], "model.norm.weight", "lm_head.weight" (absent
// when the embeddings are tied). Rotary embedding is in rotate-half layout: readers of formats that store it
// otherwise permute. Reading is thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/dense/block_format.h"

namespace orthant::models {

// The Llama 3 frequency scaling; factor 1: none. With original_context 0 every frequency is divided by the
// factor (linear scaling), as the formula gives it.
struct RopeScaling {
  double factor = 1.0;
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
  int64_t original_context = 8192;
};

struct ModelConfig {
  std::string architecture;  // "llama", "mistral", "qwen2"
  std::string name;
  int64_t d_model = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t d_mlp = 0;
  int64_t vocabulary = 0;
  int64_t context_length = 0;  // at most the sliding window where there is one, so that attention is full
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  float rms_epsilon = 1e-5f;
  bool tied_embeddings = false;
  bool qkv_bias = false;
};

// A tensor as it lies in a file, for those who widen it on a device (kernels/dense/dequantise.h).
struct StoredTensor {
  kernels::BlockType type = kernels::BlockType::kF32;
  std::span<const std::byte> blocks;  // valid as long as the file is open
  std::vector<int32_t> rows = {};     // row r is the stored row rows[r]; empty: all in order
};

class ModelFile {
 public:
  virtual ~ModelFile() = default;
  [[nodiscard]] virtual const ModelConfig& config() const = 0;
  [[nodiscard]] virtual bool has(std::string_view name) const = 0;
  [[nodiscard]] virtual std::vector<int64_t> shape(std::string_view name) const = 0;
  // Widened or dequantised to f32. Throws Error(kData) naming file, tensor, expected and found shape.
  virtual void read(std::string_view name, std::span<float> into) const = 0;
  // What read() widens. Nothing where read() does more than to widen and to order rows.
  [[nodiscard]] virtual std::optional<StoredTensor> stored(std::string_view) const { return {}; }
  // "gguf Q4_1", "safetensors BF16", "llama2.c": for logs and inspect.
  [[nodiscard]] virtual std::string description() const = 0;
  // XXH3-128 of what identifies the weights, for provenance and keys.
  [[nodiscard]] virtual std::string identity() const = 0;
};

// Detects the format from the path: a .gguf file, a directory with config.json and *.safetensors, a llama2.c
// .bin.
[[nodiscard]] std::unique_ptr<ModelFile> open_model_file(const std::string& path);

}  // namespace orthant::models
