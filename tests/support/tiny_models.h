// A two-layer Llama-like model of odd sizes for tests, and its weights by canonical name.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/formats/model_tensors.h"
#include "runtime/core/rng.h"

namespace orthant::testing {

inline models::ModelConfig tiny_config() {
  models::ModelConfig config;
  config.architecture = "llama";
  config.name = "tiny";
  config.d_model = 24;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 6;
  config.d_mlp = 20;
  config.vocabulary = 11;
  config.context_length = 16;
  config.tied_embeddings = true;
  return config;
}

struct TinyTensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

using TinyWeights = std::map<std::string, TinyTensor, std::less<>>;

// Random values that bf16 and f16 hold exactly.
inline TinyWeights tiny_weights(const models::ModelConfig& config) {
  TinyWeights weights;
  uint32_t step = 0;
  for (const auto& [name, shape] : models::model_tensors(config)) {
    int64_t values = 1;
    for (const int64_t extent : shape) values *= extent;
    TinyTensor tensor{shape, std::vector<float>(static_cast<size_t>(values))};
    for (size_t i = 0; i < tensor.values.size(); ++i) {
      const auto draw = random_u64(3, Purpose::kTest, step, i) % 255;
      tensor.values[i] = (static_cast<float>(draw) - 127.0f) / 64.0f;
    }
    weights[name] = std::move(tensor);
    ++step;
  }
  return weights;
}

}  // namespace orthant::testing
