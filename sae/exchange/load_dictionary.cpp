#include "sae/exchange/load_dictionary.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <filesystem>

#include "runtime/core/error.h"
#include "runtime/storage/safetensors.h"
#include "sae/dictionary/reconstruction.h"
#include "sae/exchange/exchange.h"
#include "sae/exchange/plain_safetensors.h"

namespace orthant::sae {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_unfinished(const std::string& path) {
  throw Error(ExitCode::kData, {.problem = fmt::format("the training run '{}' has no dictionary yet", path),
                                .why = "it has not finished",
                                .suggestion = "Repeat its command to continue it."});
}

// The file of a run, else what is at the path.
std::string file_of(const std::string& path) {
  if (!fs::exists(path)) {
    throw Error(ExitCode::kIo,
                {.problem = fmt::format("there is no '{}'", path),
                 .why = "no such file or directory; a dictionary is expected there",
                 .suggestion = "Give a training run's directory, or one that `orthant import` reads."});
  }
  const fs::path in_directory = fs::path(path) / kDictionaryFile;
  return fs::exists(in_directory) ? in_directory.string() : path;
}

// Rows `slice` of a whole dictionary.
Dictionary slice_of(const Dictionary& whole, Share slice, Memory& memory) {
  Conventions conventions;
  conventions.architecture = whole.architecture;
  conventions.input_scaling = whole.input_scaling;
  conventions.subtract_decoder_bias = whole.subtract_decoder_bias;
  conventions.rescale_acts_by_decoder_norm = whole.rescale_acts_by_decoder_norm;
  conventions.encoder_bias = whole.has_encoder_bias;
  conventions.latents = whole.latents;
  conventions.k = whole.k;
  conventions.sources = whole.sources;
  Dictionary part = allocate_dictionary(conventions, whole.d_model, slice, memory);
  part.threshold = whole.threshold;
  part.input_scale = whole.input_scale;
  part.source_scales = whole.source_scales;
  const auto copy_rows = [&](auto& into, const auto& from) {
    if (from.view().elements() == 0) return;
    const auto rows = from.view().rows(slice.first, slice.count);
    copy_bytes(into.data(), kCpu, rows.data, kCpu, rows.bytes());
  };
  copy_rows(part.encoder, whole.encoder);
  copy_rows(part.decoder, whole.decoder);
  copy_rows(part.encoder_bias, whole.encoder_bias);
  copy_rows(part.thresholds, whole.thresholds);
  copy_bytes(part.decoder_bias.data(), kCpu, whole.decoder_bias.data(), kCpu,
             whole.decoder_bias.view().bytes());
  copy_whitening(whole.whitening, part.whitening);
  return part;
}

std::map<std::string, std::string> texts_of(const LoadedDictionary& loaded) {
  std::map<std::string, std::string> texts;
  for (const auto& [key, value] : loaded.metadata) {
    if (value.is_null()) continue;
    texts[std::string(key)] =
        value.is_string() ? std::string(value.get_string()) : boost::json::serialize(value);
  }
  texts["format"] = loaded.format;
  return texts;
}

// Files of other programs know no virtual shards: where these decide, the whole is loaded and cut.
DictionaryFile load_foreign(const std::string& path, Memory& memory, int shards, int shard,
                            int virtual_shards) {
  if (virtual_shards == 0) {
    LoadedDictionary loaded = import_dictionary(path, memory, shards, shard);
    std::map<std::string, std::string> texts = texts_of(loaded);
    return {std::move(loaded.dictionary), std::move(texts)};
  }
  Memory passing;
  const LoadedDictionary loaded = import_dictionary(path, passing);
  const Share slice = latent_slice(loaded.dictionary.latents, shards, shard, virtual_shards);
  return {slice_of(loaded.dictionary, slice, memory), texts_of(loaded)};
}

}  // namespace

DictionaryFile load_dictionary(const std::string& path, Memory& memory, int shards, int shard,
                               int virtual_shards) {
  const std::string file = file_of(path);
  const bool is_directory = fs::is_directory(file);
  if (!is_directory && is_plain_safetensors(file)) {
    return load_foreign(file, memory, shards, shard, virtual_shards);
  }
  if (!is_directory) return read_dictionary_file(file, memory, shards, shard, virtual_shards);
  const bool is_run = fs::exists(fs::path(path) / "run.json");
  if (is_run && !fs::exists(fs::path(path) / "cfg.json")) refuse_unfinished(path);
  return load_foreign(path, memory, shards, shard, virtual_shards);
}

std::map<std::string, std::string> dictionary_header(const std::string& path) {
  const std::string file = file_of(path);
  if (!is_dictionary_file(file)) return {};
  return SafetensorsReader(file).metadata();
}

}  // namespace orthant::sae
