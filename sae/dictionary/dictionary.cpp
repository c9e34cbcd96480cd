#include "sae/dictionary/dictionary.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/codes/latent_step.h"
#include "runtime/core/hash.h"
#include "runtime/core/rng.h"

namespace orthant::sae {
namespace {

void draw_kaiming_lineage(Dictionary& dictionary, uint64_t seed) {
  // torch's kaiming-uniform over an (n, m) tensor takes fan_in = m, so rows are short: norm sqrt(2 n / m).
  const float bound = std::sqrt(6.0f / static_cast<float>(dictionary.latents));
#pragma omp parallel for
  for (int64_t i = 0; i < dictionary.local_latents(); ++i) {
    const int64_t latent = dictionary.slice.first + i;
    float* row = dictionary.encoder.view().row(i);
    for (int64_t c = 0; c < dictionary.d_model; ++c) {
      const auto index = static_cast<uint64_t>(latent * dictionary.d_model + c);
      row[c] = bound * (2.0f * random_uniform(seed, Purpose::kEncoderInit, 0, index) - 1.0f);
    }
  }
}

void draw_normal(Dictionary& dictionary, uint64_t seed) {
#pragma omp parallel for
  for (int64_t i = 0; i < dictionary.local_latents(); ++i) {
    const int64_t latent = dictionary.slice.first + i;
    float* row = dictionary.decoder.view().row(i);
    for (int64_t c = 0; c < dictionary.d_model; ++c) {
      const auto index = static_cast<uint64_t>(latent * dictionary.d_model + c);
      row[c] = random_normal(seed, Purpose::kDecoderInit, 0, index);
    }
  }
}

template <int Rank>
void copy_tensor(const Tensor<float, Rank>& from, Tensor<float, Rank>& into) {
  copy_bytes(into.data(), into.view().device, from.data(), from.view().device, from.view().bytes());
}

void scale_all(std::span<float> values, double factor) {
  for (float& value : values) value = static_cast<float>(static_cast<double>(value) * factor);
}

// Each column of rows [rows, d_model] times the scale of its source, or divided by it.
void scale_columns(const Dictionary& dictionary, std::span<float> rows, bool divides) {
  for (size_t i = 0; i < rows.size(); ++i) {
    const double scale = dictionary.scale_of_column(static_cast<int64_t>(i) % dictionary.d_model);
    rows[i] = static_cast<float>(divides ? rows[i] / scale : rows[i] * scale);
  }
}

double norm_of(std::span<const float> row) {
  double sum = 0.0;
  for (const float value : row) sum += static_cast<double>(value) * value;
  return std::sqrt(sum);
}

void fold_decoder_norms(Dictionary& dictionary) {
  const auto width = static_cast<size_t>(dictionary.d_model);
  for (int64_t i = 0; i < dictionary.local_latents(); ++i) {
    const std::span<float> decoder(dictionary.decoder.view().row(i), width);
    double norm = 0.0;
    const auto part = static_cast<size_t>(dictionary.source_width());
    for (size_t first = 0; first < width; first += part) norm += norm_of(decoder.subspan(first, part));
    // A row of norm 0 was never selected: its encoder row becomes 0 too.
    if (norm > 0.0) scale_all(decoder, 1.0 / norm);
    scale_all({dictionary.encoder.view().row(i), width}, norm);
    scale_all({dictionary.encoder_bias.data() + i, 1}, norm);
  }
  dictionary.rescale_acts_by_decoder_norm = false;
}

void fold_whitening(Dictionary& dictionary) {
  const Whitening& whitening = dictionary.whitening;
  const int64_t width = dictionary.d_model;
#pragma omp parallel
  {
    std::vector<float> folded(static_cast<size_t>(width));
    const auto replace = [&](float* row, auto fold) {
      fold(whitening, row, folded.data());
      std::copy_n(folded.data(), width, row);
    };
#pragma omp for
    for (int64_t i = 0; i < dictionary.local_latents(); ++i) {
      replace(dictionary.decoder.view().row(i), unwhiten_direction);
      replace(dictionary.encoder.view().row(i), unwhiten_functional);
      if (dictionary.subtract_decoder_bias) continue;  // the mean is then a part of the decoder bias
      const float* const encoder = dictionary.encoder.view().row(i);
      double shift = 0.0;
      for (int64_t c = 0; c < width; ++c) shift += static_cast<double>(encoder[c]) * whitening.mean.data()[c];
      dictionary.encoder_bias.data()[i] -= static_cast<float>(shift);
    }
#pragma omp single
    replace(dictionary.decoder_bias.data(), unwhiten_direction);
  }
  for (int64_t c = 0; c < width; ++c) dictionary.decoder_bias.data()[c] += whitening.mean.data()[c];
  if (!dictionary.subtract_decoder_bias) dictionary.has_encoder_bias = true;
  dictionary.whitening = {};
}

void draw_weights(Dictionary& dictionary, EncoderInit init, uint64_t seed) {
  Stream stream;
  if (init == EncoderInit::kKaimingLineage) {
    draw_kaiming_lineage(dictionary, seed);
    copy_tensor(dictionary.encoder, dictionary.decoder);
    kernels::normalize_rows(dictionary.decoder.view(), stream);
    return;
  }
  draw_normal(dictionary, seed);
  kernels::normalize_rows(dictionary.decoder.view(), stream);
  if (init == EncoderInit::kShortTransposed) scale_all(dictionary.decoder.view().span(), 0.1);
  copy_tensor(dictionary.decoder, dictionary.encoder);
}

}  // namespace

Dictionary allocate_dictionary(const Conventions& conventions, int64_t d_model, Share slice, Memory& memory) {
  Dictionary d;
  d.architecture = conventions.architecture;
  d.input_scaling = conventions.input_scaling;
  d.encoder_precision = conventions.encoder_precision;
  d.subtract_decoder_bias = conventions.subtract_decoder_bias;
  d.rescale_acts_by_decoder_norm = conventions.rescale_acts_by_decoder_norm;
  d.k = conventions.k;
  require(d_model % conventions.sources == 0, "the sources have one width");
  d.d_model = d_model;
  d.sources = conventions.sources;
  if (d.sources > 1) d.source_scales.assign(static_cast<size_t>(d.sources), 1.0);
  d.latents = conventions.latents;
  d.slice = slice;
  d.has_encoder_bias = conventions.encoder_bias;
  d.encoder = Tensor<float, 2>(memory, "weights", {slice.count, d_model});
  d.decoder = Tensor<float, 2>(memory, "weights", {slice.count, d_model});
  d.encoder_bias = Tensor<float, 1>(memory, "weights", {slice.count});
  d.decoder_bias = Tensor<float, 1>(memory, "weights", {d_model});
  d.thresholds = Tensor<float, 1>(memory, "weights",
                                  {conventions.architecture == Architecture::kJumpRelu ? slice.count : 0});
  d.whitening =
      Whitening(memory, "weights", conventions.input_scaling == InputScaling::kWhiten ? d_model : 0);
  return d;
}

Dictionary copy_of(const Dictionary& from, Memory& memory, std::string_view segment) {
  const auto copied = [&](const auto& tensor) {
    std::remove_cvref_t<decltype(tensor)> copy(memory, segment, tensor.shape());
    copy_tensor(tensor, copy);
    return copy;
  };
  Dictionary copy{.architecture = from.architecture,
                  .input_scaling = from.input_scaling,
                  .subtract_decoder_bias = from.subtract_decoder_bias,
                  .rescale_acts_by_decoder_norm = from.rescale_acts_by_decoder_norm,
                  .encoder_precision = from.encoder_precision,
                  .k = from.k,
                  .d_model = from.d_model,
                  .sources = from.sources,
                  .latents = from.latents,
                  .slice = from.slice,
                  .encoder = copied(from.encoder),
                  .decoder = copied(from.decoder),
                  .encoder_bias = copied(from.encoder_bias),
                  .decoder_bias = copied(from.decoder_bias),
                  .thresholds = copied(from.thresholds),
                  .has_encoder_bias = from.has_encoder_bias,
                  .threshold = from.threshold,
                  .input_scale = from.input_scale,
                  .source_scales = from.source_scales,
                  .whitening = Whitening(memory, segment, from.whitening.d_model())};
  copy_whitening(from.whitening, copy.whitening);
  return copy;
}

void initialize_dictionary(Dictionary& dictionary, EncoderInit init, uint64_t seed) {
  dictionary.encoder_bias.zero();
  dictionary.decoder_bias.zero();
  dictionary.thresholds.zero();
  if (dictionary.encoder.view().device == kCpu) return draw_weights(dictionary, init, seed);
  Memory memory;
  Dictionary drawn;
  drawn.d_model = dictionary.d_model;
  drawn.latents = dictionary.latents;
  drawn.slice = dictionary.slice;
  drawn.encoder = Tensor<float, 2>(memory, "initialization", dictionary.encoder.shape());
  drawn.decoder = Tensor<float, 2>(memory, "initialization", dictionary.decoder.shape());
  draw_weights(drawn, init, seed);
  copy_tensor(drawn.encoder, dictionary.encoder);
  copy_tensor(drawn.decoder, dictionary.decoder);
}

void fold_scaling(Dictionary& dictionary) {
  // Decoder norms first: thresholds are of activations times the norm as trained, before 1 / scale changes
  // it.
  if (dictionary.rescale_acts_by_decoder_norm) fold_decoder_norms(dictionary);
  if (dictionary.input_scale != 1.0) {
    scale_all(dictionary.encoder.view().span(), dictionary.input_scale);
    scale_all(dictionary.decoder.view().span(), 1.0 / dictionary.input_scale);
    scale_all(dictionary.decoder_bias.view().span(), 1.0 / dictionary.input_scale);
    dictionary.input_scale = 1.0;
  }
  if (dictionary.sources > 1) {
    scale_columns(dictionary, dictionary.encoder.view().span(), false);
    scale_columns(dictionary, dictionary.decoder.view().span(), true);
    scale_columns(dictionary, dictionary.decoder_bias.view().span(), true);
    dictionary.source_scales.assign(dictionary.source_scales.size(), 1.0);
  }
  if (dictionary.input_scaling == InputScaling::kWhiten) fold_whitening(dictionary);
  if (dictionary.input_scaling == InputScaling::kUnitMeanSquare ||
      dictionary.input_scaling == InputScaling::kExpectedAverageOnlyIn ||
      dictionary.input_scaling == InputScaling::kWhiten) {
    dictionary.input_scaling = InputScaling::kNone;
  }
}

namespace {

// One leg of the relay: shard after shard absorbs its part, then everybody has the state.
void relay(Sha256& hash, Communicator& group, const void* data, int64_t bytes, Stream& stream) {
  for (int shard = 0; shard < group.size(); ++shard) {
    if (group.rank() == shard) hash.update(data, bytes);
    std::vector<std::byte> state = hash.export_state();
    group.broadcast(state.data(), static_cast<int64_t>(state.size()), Dtype::kU8, shard, stream);
    hash = Sha256::import_state(state);
  }
}

}  // namespace

std::string weights_sha256(const Dictionary& dictionary, Communicator& dictionary_group, Stream& stream) {
  Sha256 hash;
  relay(hash, dictionary_group, dictionary.encoder.data(), dictionary.encoder.view().bytes(), stream);
  relay(hash, dictionary_group, dictionary.encoder_bias.data(), dictionary.encoder_bias.view().bytes(),
        stream);
  relay(hash, dictionary_group, dictionary.decoder.data(), dictionary.decoder.view().bytes(), stream);
  hash.update(dictionary.decoder_bias.data(), dictionary.decoder_bias.view().bytes());
  return hash.hex();
}

}  // namespace orthant::sae
