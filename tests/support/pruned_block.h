// One decoder block with pruned and mended projections in double precision, from the formulas of
// models/adapt/learned_parameters.h, and prunings to train it with.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "models/adapt/learned_parameters.h"
#include "models/transformer/rope_table.h"
#include "tests/support/memory_model.h"

namespace orthant::testing {

// Every projection of every block keeps `pattern` by magnitude.
inline models::ModelPruning magnitude_pruning(const models::ModelConfig& config,
                                              kernels::PrunePattern pattern, bool restores_variance) {
  models::ModelPruning pruning;
  pruning.blocks.resize(static_cast<size_t>(config.layers));
  for (auto& block : pruning.blocks) {
    for (auto& projection : block) {
      auto selection = std::make_shared<models::InputSelection>();
      selection->pattern = pattern;
      selection->restores_variance = restores_variance;
      projection.selection = selection;
    }
  }
  return pruning;
}

class PrunedBlock {
 public:
  using Rows = std::vector<std::vector<double>>;  // [tokens][width]
  PrunedBlock(const MemoryModel& model, const models::ModelPruning& pruning, int64_t layer)
      : model_(model),
        config_(model.config()),
        pruned_(pruning.blocks[static_cast<size_t>(layer)]),
        layer_(layer) {}

  [[nodiscard]] Rows run(const Rows& residual, const models::LearnedBlock& learned) const {
    using models::Projection;
    const std::string block = "model.layers." + std::to_string(layer_) + ".";
    const Rows normed = norm(residual, block + "input_layernorm.weight");
    Rows query = project(Projection::kQuery, normed, learned),
         key = project(Projection::kKey, normed, learned);
    const Rows value = project(Projection::kValue, normed, learned);
    rotate(query);
    rotate(key);
    const Rows mid = sum(residual, project(Projection::kOutput, attend(query, key, value), learned));
    const Rows mid_normed = norm(mid, block + "post_attention_layernorm.weight");
    Rows gate = project(Projection::kGate, mid_normed, learned);
    const Rows up = project(Projection::kUp, mid_normed, learned);
    for (size_t t = 0; t < gate.size(); ++t) {
      for (size_t i = 0; i < gate[t].size(); ++i) gate[t][i] *= up[t][i] / (1.0 + std::exp(-gate[t][i]));
    }
    return sum(mid, project(Projection::kDown, gate, learned));
  }

 private:
  static double variance(const std::vector<double>& row) {
    const double mean = std::accumulate(row.begin(), row.end(), 0.0) / static_cast<double>(row.size());
    double squares = 0.0;
    for (const double value : row) squares += (value - mean) * (value - mean);
    return squares / static_cast<double>(row.size() - 1);
  }
  static Rows sum(Rows a, const Rows& b) {
    for (size_t t = 0; t < a.size(); ++t) {
      for (size_t i = 0; i < a[t].size(); ++i) a[t][i] += b[t][i];
    }
    return a;
  }
  [[nodiscard]] Rows norm(Rows x, const std::string& name) const {
    const TinyTensor& weight = model_.at(name);
    for (auto& row : x) {
      double squares = 0.0;
      for (const double value : row) squares += value * value;
      const double scale = 1.0 / std::sqrt(squares / static_cast<double>(row.size()) + config_.rms_epsilon);
      for (size_t i = 0; i < row.size(); ++i) row[i] *= scale * weight.values[i];
    }
    return x;
  }
  // The largest |x - eta| of each group; without a pattern of groups, all.
  [[nodiscard]] static std::vector<double> kept_of(const std::vector<double>& centred,
                                                   kernels::PrunePattern pattern) {
    std::vector<double> kept(centred.size(), 0.0);
    const auto group = static_cast<size_t>(pattern.group);
    for (size_t first = 0; first < centred.size(); first += group) {
      std::vector<size_t> order(group);
      std::iota(order.begin(), order.end(), first);
      std::stable_sort(order.begin(), order.end(),
                       [&](size_t a, size_t b) { return std::abs(centred[a]) > std::abs(centred[b]); });
      for (int64_t i = 0; i < pattern.keep; ++i) {
        const size_t c = order[static_cast<size_t>(i)];
        kept[c] = centred[c];
      }
    }
    return kept;
  }
  static double at(const std::vector<float>& values, size_t i) {
    return values.empty() ? 0.0 : static_cast<double>(values[i]);
  }
  [[nodiscard]] std::vector<double> product(const std::vector<double>& x, const TinyTensor& weight) const {
    std::vector<double> y(static_cast<size_t>(weight.shape[0]), 0.0);
    for (size_t o = 0; o < y.size(); ++o) {
      for (size_t k = 0; k < x.size(); ++k)
        y[o] += x[k] * static_cast<double>(weight.values[o * x.size() + k]);
    }
    return y;
  }
  [[nodiscard]] std::vector<double> project_row(const std::vector<double>& x, const TinyTensor& weight,
                                                const models::PrunedProjection& pruned,
                                                const models::LearnedProjection& own) const {
    if (pruned.selection == nullptr) return product(x, weight);
    std::vector<double> centred = x, eta(x.size());
    for (size_t k = 0; k < x.size(); ++k) centred[k] -= eta[k] = at(own.input_shift, k);
    const std::vector<double> kept = kept_of(centred, pruned.selection->pattern);
    const double nu =
        pruned.selection->restores_variance ? std::sqrt(variance(x) / std::max(variance(kept), 1e-9)) : 1.0;
    std::vector<double> y = product(kept, weight);
    const std::vector<double> shifted = product(eta, weight);
    const size_t rank = own.low_rank_out.size() / y.size();
    for (size_t o = 0; o < y.size(); ++o) {
      y[o] = (nu * y[o] + shifted[o]) * (1.0 + at(own.output_scale, o)) + at(own.output_shift, o);
      for (size_t r = 0; r < rank; ++r) {
        double narrow = 0.0;
        for (size_t k = 0; k < x.size(); ++k) {
          if (kept[k] == 0.0) narrow += x[k] * static_cast<double>(own.low_rank_in[r * x.size() + k]);
        }
        y[o] += narrow * static_cast<double>(own.low_rank_out[o * rank + r]);
      }
    }
    return y;
  }
  [[nodiscard]] Rows project(models::Projection projection, const Rows& x,
                             const models::LearnedBlock& learned) const {
    const std::string name = models::weight_name(layer_, projection);
    const std::string bias = name.substr(0, name.size() - 6) + "bias";
    Rows out;
    for (const auto& row : x) {
      const auto p = static_cast<size_t>(projection);
      out.push_back(project_row(row, model_.at(name), pruned_[p], learned[p]));
      for (size_t o = 0; model_.has(bias) && o < out.back().size(); ++o) {
        out.back()[o] += static_cast<double>(model_.at(bias).values[o]);
      }
    }
    return out;
  }
  void rotate(Rows& x) const {
    const std::vector<double> frequencies = models::rope_frequencies(config_);
    const size_t half = frequencies.size();
    for (size_t t = 0; t < x.size(); ++t) {
      for (size_t head = 0; head < x[t].size(); head += 2 * half) {
        for (size_t i = 0; i < half; ++i) {
          const double angle = static_cast<double>(t) * frequencies[i];
          double &a = x[t][head + i], &b = x[t][head + half + i];
          const double turned = a * std::cos(angle) - b * std::sin(angle);
          b = b * std::cos(angle) + a * std::sin(angle);
          a = turned;
        }
      }
    }
  }
  [[nodiscard]] Rows attend(const Rows& query, const Rows& key, const Rows& value) const {
    const auto width = static_cast<size_t>(config_.head_dim);
    const auto group = static_cast<size_t>(config_.heads / config_.kv_heads);
    Rows out(query.size(), std::vector<double>(query[0].size(), 0.0));
    for (size_t t = 0; t < query.size(); ++t) {
      for (size_t to = 0; to < query[t].size(); to += width) {
        const size_t from = to / width / group * width;
        std::vector<double> weights;
        double total = 0.0;
        for (size_t past = 0; past <= t; ++past) {
          double score = 0.0;
          for (size_t i = 0; i < width; ++i) score += query[t][to + i] * key[past][from + i];
          total += weights.emplace_back(std::exp(score / std::sqrt(static_cast<double>(width))));
        }
        for (size_t past = 0; past <= t; ++past) {
          for (size_t i = 0; i < width; ++i) out[t][to + i] += weights[past] / total * value[past][from + i];
        }
      }
    }
    return out;
  }

  const MemoryModel& model_;
  models::ModelConfig config_;
  const std::array<models::PrunedProjection, models::kProjections>& pruned_;
  int64_t layer_;
};

}  // namespace orthant::testing
