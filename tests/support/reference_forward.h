// The forward of a Llama-family model as the formulas say it, in double precision, one sequence, no cache.
#pragma once

#include <cmath>
#include <functional>
#include <numbers>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/memory_model.h"

namespace orthant::testing {

using Rows = std::vector<std::vector<double>>;  // [tokens][width]

class ReferenceForward {
 public:
  explicit ReferenceForward(const MemoryModel& model) : model_(model), config_(model.config()) {}

  // What becomes of a projection: given its name ("model.layers.0.mlp.up_proj") and input, its output without
  // bias. Nothing: the product.
  std::function<std::optional<Rows>(const std::string& name, const Rows& x)> projected = {};

  // logits [tokens][vocabulary]; `residual_post` receives [layers] residual streams after each block.
  [[nodiscard]] Rows logits(const std::vector<int32_t>& ids, std::vector<Rows>& residual_post) const {
    Rows residual;
    const TinyTensor& embedding = model_.at("model.embed_tokens.weight");
    for (const int32_t id : ids) {
      const auto begin = embedding.values.begin() + id * config_.d_model;
      residual.emplace_back(begin, begin + config_.d_model);
    }
    for (int64_t layer = 0; layer < config_.layers; ++layer) {
      const std::string block = "model.layers." + std::to_string(layer) + ".";
      add(attention(norm(residual, block + "input_layernorm.weight"), block + "self_attn."), residual);
      add(mlp(norm(residual, block + "post_attention_layernorm.weight"), block + "mlp."), residual);
      residual_post.push_back(residual);
    }
    const char* head = config_.tied_embeddings ? "model.embed_tokens" : "lm_head";
    return linear(norm(residual, "model.norm.weight"), head);
  }

 private:
  static void add(const Rows& from, Rows& into) {
    for (size_t t = 0; t < into.size(); ++t) {
      for (size_t i = 0; i < into[t].size(); ++i) into[t][i] += from[t][i];
    }
  }
  [[nodiscard]] Rows norm(const Rows& x, const std::string& name) const {
    Rows out = x;
    const TinyTensor& weight = model_.at(name);
    for (auto& row : out) {
      double squares = 0.0;
      for (const double value : row) squares += value * value;
      const double scale = 1.0 / std::sqrt(squares / static_cast<double>(row.size()) + config_.rms_epsilon);
      for (size_t i = 0; i < row.size(); ++i) row[i] *= scale * weight.values[i];
    }
    return out;
  }
  [[nodiscard]] Rows linear(const Rows& x, const std::string& name) const {
    const TinyTensor& weight = model_.at(name + ".weight");
    const auto columns = static_cast<size_t>(weight.shape[0]);
    Rows out(x.size(), std::vector<double>(columns, 0.0));
    const std::optional<Rows> given = projected ? projected(name, x) : std::nullopt;
    for (size_t t = 0; t < x.size(); ++t) {
      for (size_t c = 0; c < columns; ++c) {
        if (model_.has(name + ".bias")) out[t][c] = model_.at(name + ".bias").values[c];
        if (given) out[t][c] += (*given)[t][c];
        for (size_t k = 0; k < x[t].size() && !given; ++k)
          out[t][c] += x[t][k] * weight.values[c * x[t].size() + k];
      }
    }
    return out;
  }
  // The published Llama 3 rule, by wavelength.
  [[nodiscard]] double frequency(int64_t i) const {
    const models::RopeScaling& scaling = config_.rope_scaling;
    const double plain =
        std::pow(config_.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(config_.head_dim));
    if (scaling.factor == 1.0) return plain;
    const double wavelength = 2.0 * std::numbers::pi / plain;
    const auto original = static_cast<double>(scaling.original_context);
    if (wavelength < original / scaling.high_frequency_factor) return plain;
    if (wavelength > original / scaling.low_frequency_factor) return plain / scaling.factor;
    const double smooth = (original / wavelength - scaling.low_frequency_factor) /
                          (scaling.high_frequency_factor - scaling.low_frequency_factor);
    return (1.0 - smooth) * plain / scaling.factor + smooth * plain;
  }
  void rotate(Rows& x) const {
    const int64_t half = config_.head_dim / 2;
    for (size_t t = 0; t < x.size(); ++t) {
      for (size_t head = 0; head < x[t].size(); head += static_cast<size_t>(config_.head_dim)) {
        for (int64_t i = 0; i < half; ++i) {
          const double angle = static_cast<double>(t) * frequency(i);
          double& a = x[t][head + static_cast<size_t>(i)];
          double& b = x[t][head + static_cast<size_t>(i + half)];
          const double turned = a * std::cos(angle) - b * std::sin(angle);
          b = b * std::cos(angle) + a * std::sin(angle);
          a = turned;
        }
      }
    }
  }
  [[nodiscard]] Rows attention(const Rows& x, const std::string& name) const {
    Rows query = linear(x, name + "q_proj"), key = linear(x, name + "k_proj");
    const Rows value = linear(x, name + "v_proj");
    rotate(query);
    rotate(key);
    Rows mixed(x.size(), std::vector<double>(query[0].size(), 0.0));
    for (size_t t = 0; t < x.size(); ++t) {
      for (int64_t head = 0; head < config_.heads; ++head) attend(query, key, value, t, head, mixed[t]);
    }
    return linear(mixed, name + "o_proj");
  }
  void attend(const Rows& query, const Rows& key, const Rows& value, size_t t, int64_t head,
              std::vector<double>& out) const {
    const auto width = static_cast<size_t>(config_.head_dim);
    const size_t to = static_cast<size_t>(head) * width;
    const size_t from = static_cast<size_t>(head / (config_.heads / config_.kv_heads)) * width;
    std::vector<double> weights;
    double sum = 0.0;
    for (size_t past = 0; past <= t; ++past) {
      double score = 0.0;
      for (size_t i = 0; i < width; ++i) score += query[t][to + i] * key[past][from + i];
      sum += weights.emplace_back(std::exp(score / std::sqrt(static_cast<double>(width))));
    }
    for (size_t past = 0; past <= t; ++past) {
      for (size_t i = 0; i < width; ++i) out[to + i] += weights[past] / sum * value[past][from + i];
    }
  }
  [[nodiscard]] Rows mlp(const Rows& x, const std::string& name) const {
    Rows gate = linear(x, name + "gate_proj");
    const Rows up = linear(x, name + "up_proj");
    for (size_t t = 0; t < x.size(); ++t) {
      for (size_t i = 0; i < gate[t].size(); ++i) gate[t][i] *= up[t][i] / (1.0 + std::exp(-gate[t][i]));
    }
    return linear(gate, name + "down_proj");
  }

  const MemoryModel& model_;
  models::ModelConfig config_;
};

}  // namespace orthant::testing
