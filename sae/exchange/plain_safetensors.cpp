#include "sae/exchange/plain_safetensors.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "runtime/core/error.h"
#include "runtime/storage/safetensors.h"
#include "sae/exchange/folded_copy.h"

namespace orthant::sae {
namespace {

constexpr std::string_view kFormat = "orthant.dictionary";
constexpr std::string_view kMakeAgain = "Copy the file again, or export it anew.";

// One field of the header, which holds texts only.
template <typename T>
T header_number(const SafetensorsReader& reader, const std::string& name) {
  const auto found = reader.metadata().find(name);
  const std::string text = found == reader.metadata().end() ? "" : found->second;
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
    throw Error(ExitCode::kData, {.problem = fmt::format("'{}' cannot be loaded", reader.path()),
                                  .why = fmt::format("its header field {} is '{}', not a number", name, text),
                                  .suggestion = std::string(kMakeAgain)});
  }
  return value;
}

std::string header_text(const SafetensorsReader& reader, const std::string& name) {
  const auto found = reader.metadata().find(name);
  if (found != reader.metadata().end()) return found->second;
  throw Error(ExitCode::kData, {.problem = fmt::format("'{}' cannot be loaded", reader.path()),
                                .why = fmt::format("its header has no field {}", name),
                                .suggestion = std::string(kMakeAgain)});
}

TensorMetadata header_of(const Dictionary& folded, const Provenance& provenance) {
  boost::json::object origin = provenance.orthant;
  origin["model_name"] = provenance.model_name;
  origin["hook_name"] = provenance.hook_name;
  origin["dataset_path"] = provenance.dataset_path;
  TensorMetadata header = {{"format", std::string(kFormat)},
                           {"version", "1"},
                           {"architecture", std::string(name_of(folded.architecture))},
                           {"k", fmt::format("{}", folded.k)},
                           {"threshold", fmt::format("{:.17g}", folded.threshold)},
                           {"normalize_activations", std::string(name_of(folded.input_scaling))},
                           {"subtract_decoder_bias", folded.subtract_decoder_bias ? "true" : "false"},
                           {"origin", boost::json::serialize(origin)}};
  if (folded.sources > 1) header["sources"] = fmt::format("{}", folded.sources);
  return header;
}

boost::json::object origin_in(const SafetensorsReader& reader) {
  boost::system::error_code error;
  boost::json::value origin = boost::json::parse(header_text(reader, "origin"), error);
  return !error && origin.is_object() ? std::move(origin.as_object()) : boost::json::object{};
}

void refuse_sources(const SafetensorsReader& reader, int64_t sources, int64_t width) {
  if (sources > 0 && width % sources == 0) return;
  throw Error(ExitCode::kData,
              {.problem = fmt::format("'{}' cannot be loaded", reader.path()),
               .why = fmt::format("its rows of {} are not those of {} sources", width, sources),
               .suggestion = std::string(kMakeAgain)});
}

Conventions conventions_in(const SafetensorsReader& reader, int64_t latents, int64_t width) {
  Conventions conventions;
  try {
    conventions.architecture = architecture_from_name(header_text(reader, "architecture"));
    conventions.input_scaling = input_scaling_from_name(header_text(reader, "normalize_activations"));
  } catch (const Error& error) {
    if (error.code() != ExitCode::kConfig) throw;
    throw Error(ExitCode::kData, {.problem = fmt::format("'{}' cannot be loaded", reader.path()),
                                  .why = error.what(),
                                  .suggestion = std::string(kMakeAgain)});
  }
  conventions.latents = latents;
  conventions.k = header_number<int64_t>(reader, "k");
  if (reader.metadata().contains("sources")) conventions.sources = header_number<int64_t>(reader, "sources");
  refuse_sources(reader, conventions.sources, width);
  conventions.encoder_bias = true;
  conventions.subtract_decoder_bias = header_text(reader, "subtract_decoder_bias") != "false";
  return conventions;
}

void read_rows_of(const SafetensorsReader& reader, std::string_view name, std::vector<int64_t> shape,
                  Share rows, std::span<float> into) {
  reader.read_rows(reader.entry(name, shape), rows.first, rows.count, into);
}

}  // namespace

void write_plain_safetensors(const Dictionary& dictionary, const Provenance& provenance,
                             const std::string& path) {
  if (dictionary.slice.first != 0 || dictionary.slice.count != dictionary.latents) {
    throw Error(ExitCode::kConfig, {.problem = "only a whole dictionary can be exported",
                                    .why = "this rank holds one slice of its latents",
                                    .suggestion = "Export on one rank."});
  }
  Memory memory;
  const Dictionary folded = folded_copy(dictionary, memory);
  const int64_t latents = folded.latents;
  const int64_t width = folded.d_model;
  std::vector<SafetensorsTensor> tensors = {
      {"encoder", Dtype::kF32, {latents, width}, folded.encoder.data()},
      {"encoder_bias", Dtype::kF32, {latents}, folded.encoder_bias.data()},
      {"decoder", Dtype::kF32, {latents, width}, folded.decoder.data()},
      {"decoder_bias", Dtype::kF32, {width}, folded.decoder_bias.data()}};
  if (folded.architecture == Architecture::kJumpRelu) {
    tensors.push_back({"thresholds", Dtype::kF32, {latents}, folded.thresholds.data()});
  }
  write_safetensors(path, tensors, header_of(folded, provenance));
}

bool is_plain_safetensors(const std::string& path) {
  const SafetensorsReader reader(path);
  const auto format = reader.metadata().find("format");
  return format != reader.metadata().end() && format->second == kFormat;
}

LoadedDictionary load_plain_safetensors(const std::string& path, Memory& memory, int64_t shards,
                                        int64_t shard) {
  const SafetensorsReader reader(path);
  const std::vector<int64_t> any = {-1, -1};
  const std::vector<int64_t> shape = reader.entry("encoder", any).shape;
  const Share slice = share_of(shape[0], shards, shard);
  LoadedDictionary loaded{
      .dictionary = allocate_dictionary(conventions_in(reader, shape[0], shape[1]), shape[1], slice, memory),
      .format = "plain safetensors",
      .metadata = origin_in(reader)};
  Dictionary& d = loaded.dictionary;
  read_rows_of(reader, "encoder", shape, slice, d.encoder.view().span());
  read_rows_of(reader, "decoder", shape, slice, d.decoder.view().span());
  read_rows_of(reader, "encoder_bias", {d.latents}, slice, d.encoder_bias.view().span());
  read_rows_of(reader, "decoder_bias", {d.d_model}, {0, d.d_model}, d.decoder_bias.view().span());
  if (d.architecture == Architecture::kJumpRelu) {
    read_rows_of(reader, "thresholds", {d.latents}, slice, d.thresholds.view().span());
  }
  d.threshold = header_number<double>(reader, "threshold");
  return loaded;
}

}  // namespace orthant::sae
