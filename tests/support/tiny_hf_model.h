// The tiny model as a Hugging Face directory, part by part, so that tests can leave parts out or damage them.
#pragma once

#include <boost/json.hpp>
#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

#include "runtime/core/dtype.h"
#include "runtime/storage/safetensors.h"
#include "tests/support/tiny_models.h"
#include "tests/support/tiny_tokenizers.h"

namespace orthant::testing {

inline boost::json::object hf_config(const models::ModelConfig& config) {
  return {{"model_type", config.architecture},
          {"hidden_size", config.d_model},
          {"num_hidden_layers", config.layers},
          {"num_attention_heads", config.heads},
          {"num_key_value_heads", config.kv_heads},
          {"intermediate_size", config.d_mlp},
          {"vocab_size", config.vocabulary},
          {"max_position_embeddings", config.context_length},
          {"rms_norm_eps", 1e-5},
          {"tie_word_embeddings", config.tied_embeddings}};
}

inline void write_hf_config(const std::string& folder, const models::ModelConfig& config) {
  write_text(folder + "/config.json", boost::json::serialize(hf_config(config)));
}

inline void write_hf_weights(const std::string& path, const TinyWeights& weights, Dtype dtype = Dtype::kF32) {
  std::vector<std::vector<std::byte>> stored;
  std::vector<SafetensorsTensor> tensors;
  for (const auto& [name, tensor] : weights) {
    stored.emplace_back(tensor.values.size() * static_cast<size_t>(bytes_of(dtype)));
    narrow(tensor.values, dtype, stored.back().data());
    tensors.push_back({name, dtype, tensor.shape, stored.back().data()});
  }
  write_safetensors(path, tensors);
}

}  // namespace orthant::testing
