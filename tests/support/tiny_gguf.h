// The tiny model as a GGUF file, part by part, so that tests can leave parts out or damage them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/gguf_builder.h"
#include "tests/support/tiny_models.h"

namespace orthant::testing {

inline std::string gguf_name(std::string name) {
  const std::pair<std::string, std::string> replacements[] = {{"model.embed_tokens", "token_embd"},
                                                              {"model.norm", "output_norm"},
                                                              {"lm_head", "output"},
                                                              {"model.layers.", "blk."},
                                                              {"post_attention_layernorm", "ffn_norm"},
                                                              {"input_layernorm", "attn_norm"},
                                                              {"self_attn.q_proj", "attn_q"},
                                                              {"self_attn.k_proj", "attn_k"},
                                                              {"self_attn.v_proj", "attn_v"},
                                                              {"self_attn.o_proj", "attn_output"},
                                                              {"mlp.gate_proj", "ffn_gate"},
                                                              {"mlp.up_proj", "ffn_up"},
                                                              {"mlp.down_proj", "ffn_down"}};
  for (const auto& [from, to] : replacements) {
    if (const auto at = name.find(from); at != std::string::npos) name.replace(at, from.size(), to);
  }
  return name;
}

// The converter's direction: (2, half) rows of a head become (half, 2).
inline std::vector<float> interleaved(const TinyTensor& tensor, int64_t head_dim) {
  const int64_t columns = static_cast<int64_t>(tensor.values.size()) / tensor.shape.front();
  std::vector<float> result(tensor.values.size());
  for (int64_t head = 0; head < tensor.shape.front() / head_dim; ++head) {
    for (int64_t part = 0; part < 2; ++part) {
      for (int64_t pair = 0; pair < head_dim / 2; ++pair) {
        for (int64_t c = 0; c < columns; ++c) {
          result[(head * head_dim + pair * 2 + part) * columns + c] =
              tensor.values[(head * head_dim + part * head_dim / 2 + pair) * columns + c];
        }
      }
    }
  }
  return result;
}

inline GgufBuilder gguf_metadata(const models::ModelConfig& config) {
  const std::string prefix = config.architecture + ".";
  GgufBuilder builder;
  builder.value("general.architecture", config.architecture)
      .value("general.name", config.name)
      .value(prefix + "embedding_length", static_cast<uint32_t>(config.d_model))
      .value(prefix + "block_count", static_cast<uint32_t>(config.layers))
      .value(prefix + "attention.head_count", static_cast<uint32_t>(config.heads))
      .value(prefix + "attention.head_count_kv", static_cast<uint32_t>(config.kv_heads))
      .value(prefix + "feed_forward_length", static_cast<uint32_t>(config.d_mlp))
      .value(prefix + "context_length", static_cast<uint32_t>(config.context_length))
      .value(prefix + "rope.freq_base", static_cast<float>(config.rope_theta))
      .value(prefix + "attention.layer_norm_rms_epsilon", config.rms_epsilon);
  return builder;
}

// Byte-level BPE of the tiny vocabulary: the letters a to h, and the pair ab. Other bytes have no token.
inline void add_gguf_letters(GgufBuilder& builder) {
  builder.value("tokenizer.ggml.model", "gpt2").value("tokenizer.ggml.pre", "gpt-2");
  builder.array("tokenizer.ggml.tokens",
                std::vector<std::string>{"<s>", "</s>", "ab", "a", "b", "c", "d", "e", "f", "g", "h"});
  builder.array("tokenizer.ggml.token_type", std::vector<int32_t>{3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  builder.array("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
  builder.value("tokenizer.ggml.bos_token_id", uint32_t{0}).value("tokenizer.ggml.eos_token_id", uint32_t{1});
}

inline void add_gguf_weights(GgufBuilder& builder, const models::ModelConfig& config,
                             const TinyWeights& weights) {
  for (const auto& [name, tensor] : weights) {
    const bool rotated = config.architecture == "llama" && (name.find("q_proj") != std::string::npos ||
                                                            name.find("k_proj") != std::string::npos);
    builder.tensor_f32(gguf_name(name), tensor.shape,
                       rotated ? interleaved(tensor, config.head_dim) : tensor.values);
  }
}

// A whole model with its tokenizer, which every verb runs.
inline void write_tiny_gguf(const std::string& path) {
  const models::ModelConfig config = tiny_config();
  GgufBuilder builder = gguf_metadata(config);
  add_gguf_letters(builder);
  add_gguf_weights(builder, config, tiny_weights(config));
  builder.write(path);
}

}  // namespace orthant::testing
