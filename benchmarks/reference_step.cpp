#include "benchmarks/reference_step.h"

#include <vector>

#include "kernels/dense/round_bf16.h"
#include "kernels/ref/encode.h"
#include "runtime/core/error.h"

namespace orthant::benchmarks {
namespace {

using kernels::ref::Entry;

// What the encoder sees and what is reconstructed: scaled rows, without and with the decoder bias.
struct Input {
  std::vector<float> centred;  // [rows, d_model]
  std::vector<double> scaled;  // [rows, d_model]
};

Input scaled_input(const sae::Dictionary& dictionary, Matrix<const float> x) {
  Input input;
  for (int64_t i = 0; i < x.elements(); ++i) {
    const double value = static_cast<double>(x.data[i]) * dictionary.input_scale;
    const double bias = dictionary.decoder_bias.data()[i % dictionary.d_model];
    input.scaled.push_back(value);
    input.centred.push_back(static_cast<float>(dictionary.subtract_decoder_bias ? value - bias : value));
  }
  return input;
}

// Selected entries of all rows; latent = row * latents + latent.
std::vector<Entry> selected(const sae::Dictionary& dictionary, const std::vector<double>& activations,
                            int64_t rows) {
  if (dictionary.architecture == sae::Architecture::kBatchTopK) {
    return kernels::ref::topk(activations, {}, dictionary.k * rows);
  }
  std::vector<Entry> entries;
  for (int64_t r = 0; r < rows; ++r) {
    const auto begin = activations.begin() + r * dictionary.latents;
    for (Entry entry :
         kernels::ref::topk(std::vector<double>(begin, begin + dictionary.latents), {}, dictionary.k)) {
      entry.latent += r * dictionary.latents;
      entries.push_back(entry);
    }
  }
  return entries;
}

}  // namespace

double reference_squared_error(const sae::Dictionary& dictionary, Matrix<const float> x) {
  require(dictionary.local_latents() == dictionary.latents, "the reference has the whole dictionary");
  const int64_t rows = x.shape[0];
  Input input = scaled_input(dictionary, x);
  const std::span<const float> weights = dictionary.encoder.view().span();
  std::vector<float> encoder(weights.begin(), weights.end());
  if (dictionary.encoder_precision == kernels::Precision::kBF16) {
    kernels::round_bf16(input.centred);
    kernels::round_bf16(encoder);
  }
  const std::vector<double> activations = kernels::ref::activations(
      {input.centred.data(), {rows, dictionary.d_model}},
      {encoder.data(), {dictionary.latents, dictionary.d_model}}, dictionary.encoder_bias.view());
  std::vector<double> residual = input.scaled;
  for (int64_t i = 0; i < rows * dictionary.d_model; ++i) {
    residual[static_cast<size_t>(i)] -= dictionary.decoder_bias.data()[i % dictionary.d_model];
  }
  for (const Entry& entry : selected(dictionary, activations, rows)) {
    const float* direction = dictionary.decoder.view().row(entry.latent % dictionary.latents);
    double* row = residual.data() + entry.latent / dictionary.latents * dictionary.d_model;
    for (int64_t i = 0; i < dictionary.d_model; ++i)
      row[i] -= entry.value * static_cast<double>(direction[i]);
  }
  double sum = 0.0;
  for (const double value : residual) sum += value * value;
  return sum;
}

}  // namespace orthant::benchmarks
