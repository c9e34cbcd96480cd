#include "models/transformer/rope_table.h"

#include <cmath>

#include "models/formats/rope_factors.h"

namespace orthant::models {
std::vector<double> rope_frequencies(const ModelConfig& config) {
  std::vector<double> frequencies = rope_divisors(config.rope_scaling, config.rope_theta, config.head_dim);
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(config.head_dim);
    frequencies[i] = std::pow(config.rope_theta, -exponent) / frequencies[i];
  }
  return frequencies;
}

RopeTable::RopeTable(Memory& memory, const ModelConfig& config, int64_t positions)
    : cosines_(memory, "weights", {positions, config.head_dim / 2}),
      sines_(memory, "weights", {positions, config.head_dim / 2}) {
  if (memory.counts_only()) return;
  std::vector<float> cosines, sines;
  const std::vector<double> frequencies = rope_frequencies(config);
  for (int64_t position = 0; position < positions; ++position) {
    for (const double frequency : frequencies) {
      const double angle = static_cast<double>(position) * frequency;
      cosines.push_back(static_cast<float>(std::cos(angle)));
      sines.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  copy_bytes(cosines_.data(), memory.device(), cosines.data(), kCpu, cosines_.view().bytes());
  copy_bytes(sines_.data(), memory.device(), sines.data(), kCpu, sines_.view().bytes());
}

}  // namespace orthant::models
