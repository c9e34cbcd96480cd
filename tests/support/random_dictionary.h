// A small dictionary with nothing trivial in it: biases far from 0, decoder rows of different norms, an input
// scale.
#pragma once

#include <cmath>

#include "runtime/core/rng.h"
#include "sae/dictionary/dictionary.h"

namespace orthant::testing {

struct RandomDictionarySpec {
  sae::Architecture architecture = sae::Architecture::kTopK;
  sae::InputScaling input_scaling = sae::InputScaling::kNone;
  bool subtract_decoder_bias = true;
  bool rescale_acts_by_decoder_norm = false;
  int64_t d_model = 19;
  int64_t latents = 70;
  int64_t k = 7;
};

inline void fill_normal(std::span<float> values, uint32_t stream, double mean, double deviation) {
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(mean + deviation * random_normal(5, Purpose::kTest, stream, i));
  }
}

inline sae::Dictionary random_dictionary(const RandomDictionarySpec& spec, Memory& memory) {
  sae::Conventions conventions;
  conventions.architecture = spec.architecture;
  conventions.input_scaling = spec.input_scaling;
  conventions.subtract_decoder_bias = spec.subtract_decoder_bias;
  conventions.rescale_acts_by_decoder_norm = spec.rescale_acts_by_decoder_norm;
  conventions.encoder_bias = true;
  conventions.latents = spec.latents;
  conventions.k = spec.k;
  sae::Dictionary d = sae::allocate_dictionary(conventions, spec.d_model, {0, spec.latents}, memory);
  const double width = std::sqrt(static_cast<double>(spec.d_model));
  fill_normal(d.encoder.view().span(), 11, 0.0, 1.0 / width);
  fill_normal(d.decoder.view().span(), 12, 0.1, 0.8 / width);
  fill_normal(d.encoder_bias.view().span(), 13, -0.1, 0.2);
  fill_normal(d.decoder_bias.view().span(), 14, 0.5, 1.0);
  fill_normal(d.thresholds.view().span(), 15, 0.5, 0.1);
  if (spec.architecture == sae::Architecture::kBatchTopK) d.threshold = 0.8;
  if (spec.input_scaling == sae::InputScaling::kUnitMeanSquare) d.input_scale = 0.037;
  if (spec.input_scaling == sae::InputScaling::kExpectedAverageOnlyIn) d.input_scale = 5.3;
  return d;
}

}  // namespace orthant::testing
