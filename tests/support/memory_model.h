// A small random language model without a file, and its forward in double precision.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "models/formats/model_file.h"
#include "tests/support/tiny_models.h"

namespace orthant::testing {

class MemoryModel : public models::ModelFile {
 public:
  // Weights are scaled so that activations stay of order one.
  explicit MemoryModel(const models::ModelConfig& config) : config_(config), weights_(tiny_weights(config)) {
    for (auto& [name, tensor] : weights_) {
      for (float& value : tensor.values) value *= 0.4f;
    }
  }
  [[nodiscard]] const models::ModelConfig& config() const override { return config_; }
  [[nodiscard]] bool has(std::string_view name) const override { return weights_.contains(name); }
  [[nodiscard]] std::vector<int64_t> shape(std::string_view name) const override { return at(name).shape; }
  void read(std::string_view name, std::span<float> into) const override {
    require(into.size() == at(name).values.size(), "the shape asked for is that of the tensor");
    std::copy(at(name).values.begin(), at(name).values.end(), into.begin());
  }
  [[nodiscard]] std::string description() const override { return "memory"; }
  [[nodiscard]] std::string identity() const override { return "memory"; }
  [[nodiscard]] const TinyTensor& at(std::string_view name) const {
    const auto found = weights_.find(name);
    require(found != weights_.end(), "the tensor exists");
    return found->second;
  }

 private:
  models::ModelConfig config_;
  TinyWeights weights_;
};

// A model that has everything the golden one lacks: biases, untied head, Llama 3 frequency scaling, a long
// context.
inline models::ModelConfig varied_config() {
  models::ModelConfig config = tiny_config();
  config.architecture = "qwen2";
  config.layers = 3;
  config.context_length = 512;
  config.qkv_bias = true;
  config.tied_embeddings = false;
  config.rope_theta = 500.0;
  config.rope_scaling = {
      .factor = 4.0, .low_frequency_factor = 1.0, .high_frequency_factor = 4.0, .original_context = 64};
  return config;
}

}  // namespace orthant::testing
