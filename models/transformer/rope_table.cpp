#include "models/transformer/rope_table.h"

#include <cmath>
#include <numbers>

namespace orthant::models {
namespace {

double scaled(double frequency, const RopeScaling& scaling) {
  if (scaling.factor == 1.0) return frequency;
  const double turns = static_cast<double>(scaling.original_context) * frequency / (2.0 * std::numbers::pi);
  if (turns > scaling.high_frequency_factor) return frequency;
  if (turns < scaling.low_frequency_factor) return frequency / scaling.factor;
  const double share = (turns - scaling.low_frequency_factor) /
                       (scaling.high_frequency_factor - scaling.low_frequency_factor);
  return (1.0 - share) * frequency / scaling.factor + share * frequency;
}

}  // namespace

std::vector<double> rope_frequencies(const ModelConfig& config) {
  std::vector<double> frequencies;
  for (int64_t i = 0; i < config.head_dim / 2; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(config.head_dim);
    frequencies.push_back(scaled(std::pow(config.rope_theta, -exponent), config.rope_scaling));
  }
  return frequencies;
}

RopeTable::RopeTable(Memory& memory, const ModelConfig& config, int64_t positions)
    : cosines_(memory, "weights", {positions, config.head_dim / 2}),
      sines_(memory, "weights", {positions, config.head_dim / 2}) {
  const std::vector<double> frequencies = rope_frequencies(config);
  for (int64_t position = 0; position < positions; ++position) {
    for (size_t i = 0; i < frequencies.size(); ++i) {
      const double angle = static_cast<double>(position) * frequencies[i];
      cosines_.view().row(position)[i] = static_cast<float>(std::cos(angle));
      sines_.view().row(position)[i] = static_cast<float>(std::sin(angle));
    }
  }
}

}  // namespace orthant::models
