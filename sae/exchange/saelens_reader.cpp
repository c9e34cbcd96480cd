#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/storage/file.h"
#include "runtime/storage/safetensors.h"
#include "sae/exchange/saelens.h"
#include "sae/exchange/saelens_config.h"

namespace orthant::sae {
namespace {

constexpr int64_t kRowsAtOnce = 64;

const SafetensorsEntry& shaped(const SafetensorsReader& reader, std::string_view name,
                               std::vector<int64_t> shape) {
  return reader.entry(name, shape);
}

// Columns [slice) of W_enc [d_in, d_sae] into encoder rows.
void read_transposed(const SafetensorsReader& reader, Dictionary& into) {
  const SafetensorsEntry& entry = shaped(reader, "W_enc", {into.d_model, into.latents});
  std::vector<float> block(static_cast<size_t>(kRowsAtOnce * into.latents));
  for (int64_t first = 0; first < into.d_model; first += kRowsAtOnce) {
    const int64_t rows = std::min(kRowsAtOnce, into.d_model - first);
    reader.read_rows(entry, first, rows, {block.data(), static_cast<size_t>(rows * into.latents)});
    for (int64_t i = 0; i < into.slice.count; ++i) {
      float* encoder = into.encoder.view().row(i) + first;
      for (int64_t c = 0; c < rows; ++c) {
        encoder[c] = block[static_cast<size_t>(c * into.latents + into.slice.first + i)];
      }
    }
  }
}

void read_slice(const SafetensorsReader& reader, std::string_view name, const Dictionary& dictionary,
                Tensor<float, 1>& into) {
  const SafetensorsEntry& entry = shaped(reader, name, {dictionary.latents});
  reader.read_rows(entry, dictionary.slice.first, dictionary.slice.count, into.view().span());
}

// A 0-d tensor that training checkpoints hold.
double read_threshold(const SafetensorsReader& reader) {
  const SafetensorsEntry& entry = reader.entry("topk_threshold");
  float threshold = 0.0f;
  if (entry.elements() != 1) {
    throw Error(ExitCode::kData,
                {.problem = fmt::format("'{}': topk_threshold is not one number", reader.path()),
                 .why = fmt::format("it has {} elements", entry.elements()),
                 .suggestion = "Copy or export the dictionary again."});
  }
  reader.read(entry, {&threshold, 1});
  return threshold;
}

void check_finite(const Dictionary& dictionary, const std::string& path) {
  for (const std::span<const float> values :
       {std::span<const float>(dictionary.encoder.view().span()),
        std::span<const float>(dictionary.decoder.view().span()),
        std::span<const float>(dictionary.encoder_bias.view().span()),
        std::span<const float>(dictionary.decoder_bias.view().span())}) {
    if (std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) continue;
    throw Error(ExitCode::kData, {.problem = fmt::format("'{}' holds weights that are not finite", path),
                                  .why = "the training that wrote it diverged, or the file is damaged",
                                  .suggestion = "Copy it again, or use another checkpoint of it."});
  }
}

Conventions conventions_of(const SaelensConfig& config) {
  Conventions conventions;
  conventions.architecture = config.architecture;
  conventions.latents = config.d_sae;
  conventions.k = config.k;
  conventions.input_scaling = config.normalize_activations;
  conventions.encoder_bias = true;
  conventions.subtract_decoder_bias = config.apply_b_dec_to_input;
  conventions.rescale_acts_by_decoder_norm = config.rescale_acts_by_decoder_norm;
  return conventions;
}

std::string format_of(const SaelensConfig& config) {
  return fmt::format("SAELens {}{}", name_of(config.architecture),
                     config.training_checkpoint ? " training checkpoint" : "");
}

}  // namespace

LoadedDictionary load_saelens(const std::string& directory, Memory& memory, int64_t shards, int64_t shard) {
  const std::string config_path = directory + "/cfg.json";
  const SaelensConfig config = parse_saelens_config(read_file(config_path), config_path);
  if (shards > config.d_sae) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("{} shards for {} latents", shards, config.d_sae),
                                    .suggestion = "Use fewer ranks for the dictionary."});
  }
  const SafetensorsReader reader(directory + "/sae_weights.safetensors");
  LoadedDictionary loaded{.dictionary = allocate_dictionary(conventions_of(config), config.d_in,
                                                            share_of(config.d_sae, shards, shard), memory),
                          .format = format_of(config),
                          .metadata = config.metadata};
  Dictionary& dictionary = loaded.dictionary;
  read_transposed(reader, dictionary);
  const SafetensorsEntry& decoder = shaped(reader, "W_dec", {dictionary.latents, dictionary.d_model});
  reader.read_rows(decoder, dictionary.slice.first, dictionary.slice.count, dictionary.decoder.view().span());
  read_slice(reader, "b_enc", dictionary, dictionary.encoder_bias);
  reader.read(shaped(reader, "b_dec", {dictionary.d_model}), dictionary.decoder_bias.view().span());
  if (config.architecture == Architecture::kJumpRelu) {
    read_slice(reader, "threshold", dictionary, dictionary.thresholds);
  }
  if (config.training_checkpoint) dictionary.threshold = read_threshold(reader);
  check_finite(dictionary, reader.path());
  return loaded;
}

}  // namespace orthant::sae
