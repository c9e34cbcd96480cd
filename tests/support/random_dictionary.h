// A small dictionary with nothing trivial in it: biases far from 0, decoder rows of different norms, an input
// scale.
#pragma once

#include <cmath>
#include <vector>

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

// A rotation that leaves no coordinate alone, and spreads from 0.4 up.
inline void fill_whitening(sae::Whitening& whitening) {
  const int64_t width = whitening.d_model();
  fill_normal(whitening.mean.view().span(), 16, 0.3, 1.0);
  std::vector<double> reflected(static_cast<size_t>(width));
  double squares = 0.0;
  for (int64_t c = 0; c < width; ++c) {
    reflected[static_cast<size_t>(c)] = random_normal(5, Purpose::kTest, 17, static_cast<uint64_t>(c));
    squares += reflected[static_cast<size_t>(c)] * reflected[static_cast<size_t>(c)];
  }
  for (int64_t i = 0; i < width; ++i) {
    whitening.spread.data()[i] = 0.4f + 0.1f * static_cast<float>(width - i);
    for (int64_t c = 0; c < width; ++c) {
      const double part =
          2.0 * reflected[static_cast<size_t>(i)] * reflected[static_cast<size_t>(c)] / squares;
      whitening.axes.view().row(i)[c] = static_cast<float>((i == c ? 1.0 : 0.0) - part);
    }
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
  if (spec.input_scaling == sae::InputScaling::kWhiten) fill_whitening(d.whitening);
  return d;
}

}  // namespace orthant::testing
