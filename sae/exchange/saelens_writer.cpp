#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/core/error.h"
#include "runtime/storage/file.h"
#include "runtime/storage/safetensors.h"
#include "sae/exchange/folded_copy.h"
#include "sae/exchange/saelens.h"
#include "sae/exchange/saelens_config.h"

namespace orthant::sae {
namespace {

constexpr int64_t kColumnsAtOnce = 64;
constexpr double kNeverFired =
    1e-10;  // added before the logarithm, as readers of sparsity.safetensors expect

void check_exportable(const Dictionary& dictionary) {
  if (dictionary.slice.first != 0 || dictionary.slice.count != dictionary.latents) {
    throw Error(ExitCode::kConfig, {.problem = "only a whole dictionary can be exported",
                                    .why = "this rank holds one slice of its latents",
                                    .suggestion = "Export on one rank."});
  }
  if (dictionary.sources > 1) {
    throw Error(ExitCode::kConfig,
                {.problem = "a crosscoder cannot be exported for SAELens",
                 .why = fmt::format("its rows are of {} sources, and SAELens knows one", dictionary.sources),
                 .suggestion = "Use --to=safetensors."});
  }
  if (dictionary.architecture == Architecture::kBatchTopK && !(dictionary.threshold >= 0.0)) {
    throw Error(ExitCode::kConfig, {.problem = "the BatchTopK dictionary cannot be exported",
                                    .why = "its inference threshold was never estimated",
                                    .suggestion = "Train on for some steps, then export again."});
  }
}

// One threshold a latent, of the architectures that are written as jumprelu; empty otherwise.
std::vector<float> thresholds_of(const Dictionary& folded) {
  const auto latents = static_cast<size_t>(folded.latents);
  if (folded.architecture == Architecture::kBatchTopK) {
    return std::vector<float>(latents, static_cast<float>(folded.threshold));
  }
  if (folded.architecture != Architecture::kJumpRelu) return {};
  return {folded.thresholds.data(), folded.thresholds.data() + latents};
}

// W_enc is the transpose of the encoder, written a few input coordinates at a time.
void write_transposed(const Dictionary& folded, SafetensorsWriter& writer) {
  std::vector<float> block(static_cast<size_t>(kColumnsAtOnce * folded.latents));
  for (int64_t first = 0; first < folded.d_model; first += kColumnsAtOnce) {
    const int64_t columns = std::min(kColumnsAtOnce, folded.d_model - first);
    for (int64_t i = 0; i < folded.latents; ++i) {
      const float* encoder = folded.encoder.view().row(i) + first;
      for (int64_t c = 0; c < columns; ++c) block[static_cast<size_t>(c * folded.latents + i)] = encoder[c];
    }
    writer.write("W_enc", block.data(), columns * folded.latents * static_cast<int64_t>(sizeof(float)));
  }
}

void write_weights(const Dictionary& folded, const std::string& path) {
  const std::vector<float> thresholds = thresholds_of(folded);
  std::vector<SafetensorsTensor> tensors = {{"W_enc", Dtype::kF32, {folded.d_model, folded.latents}},
                                            {"W_dec", Dtype::kF32, {folded.latents, folded.d_model}},
                                            {"b_enc", Dtype::kF32, {folded.latents}},
                                            {"b_dec", Dtype::kF32, {folded.d_model}}};
  if (!thresholds.empty()) tensors.push_back({"threshold", Dtype::kF32, {folded.latents}});
  SafetensorsWriter writer(path, tensors);
  write_transposed(folded, writer);
  writer.write("W_dec", folded.decoder.data(), folded.decoder.view().bytes());
  writer.write("b_enc", folded.encoder_bias.data(), folded.encoder_bias.view().bytes());
  writer.write("b_dec", folded.decoder_bias.data(), folded.decoder_bias.view().bytes());
  if (!thresholds.empty())
    writer.write("threshold", thresholds.data(), folded.latents * static_cast<int64_t>(sizeof(float)));
  writer.finish();
}

void write_sparsity(std::span<const double> firing_frequency, const std::string& path) {
  std::vector<float> logarithms;
  for (const double frequency : firing_frequency) {
    logarithms.push_back(static_cast<float>(std::log10(frequency + kNeverFired)));
  }
  const auto count = static_cast<int64_t>(logarithms.size());
  write_safetensors(path, {{"sparsity", Dtype::kF32, {count}, logarithms.data()}});
}

boost::json::value text_or_null(const std::string& text) {
  return text.empty() ? boost::json::value(nullptr) : boost::json::value(text);
}

boost::json::object metadata_of(const Dictionary& dictionary, const Provenance& provenance) {
  boost::json::object own = provenance.orthant;
  own["architecture"] = name_of(dictionary.architecture);
  own["k"] = dictionary.k;
  if (dictionary.architecture == Architecture::kBatchTopK) own["threshold"] = dictionary.threshold;
  own["normalize_activations"] = name_of(dictionary.input_scaling);
  own["folded_input_scale"] = dictionary.input_scale;
  boost::json::object metadata;
  metadata["model_name"] = text_or_null(provenance.model_name);
  metadata["model_class_name"] = text_or_null(provenance.model_class_name);
  metadata["hook_name"] = text_or_null(provenance.hook_name);
  metadata["hook_head_index"] = nullptr;
  metadata["context_size"] =
      provenance.context_size > 0 ? boost::json::value(provenance.context_size) : nullptr;
  metadata["prepend_bos"] = provenance.prepend_bos;
  metadata["dataset_path"] = text_or_null(provenance.dataset_path);
  metadata["exclude_special_tokens"] = false;
  metadata["sequence_separator_token"] = nullptr;
  metadata["disable_concat_sequences"] = true;
  metadata["seqpos_slice"] = boost::json::array{nullptr};
  metadata["model_from_pretrained_kwargs"] = boost::json::object{};
  metadata["orthant"] = std::move(own);
  return metadata;
}

}  // namespace

std::vector<std::string> write_saelens(const Dictionary& dictionary, const Provenance& provenance,
                                       std::span<const double> firing_frequency,
                                       const std::string& directory) {
  check_exportable(dictionary);
  require(firing_frequency.empty() || static_cast<int64_t>(firing_frequency.size()) == dictionary.latents,
          "one firing frequency a latent");
  Memory memory;
  const Dictionary folded = folded_copy(dictionary, memory);
  make_directory(directory);
  std::vector<std::string> files = {directory + "/sae_weights.safetensors", directory + "/cfg.json"};
  write_weights(folded, files[0]);
  if (!firing_frequency.empty()) {
    files.push_back(directory + "/sparsity.safetensors");
    write_sparsity(firing_frequency, files.back());
  }
  // Last, because a directory with it is taken for complete.
  replace_file(files[1], saelens_config_text(folded, metadata_of(dictionary, provenance)));
  return files;
}

}  // namespace orthant::sae
