#include "sae/exchange/inspect_dictionary.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <cmath>
#include <filesystem>
#include <optional>

#include "runtime/comm/world.h"
#include "runtime/core/error.h"
#include "runtime/storage/file.h"
#include "sae/exchange/load_dictionary.h"
#include "sae/exchange/plain_safetensors.h"

namespace orthant::sae {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr const char* kResultFile = "result.json";

bool is_saelens_directory(const std::string& path) {
  return fs::exists(path + "/cfg.json") && fs::exists(path + "/sae_weights.safetensors");
}

std::string sha256_of(const Dictionary& dictionary) {
  const World alone = make_self_world();
  Stream stream;
  return weights_sha256(dictionary, *alone.data, stream);
}

// A document of a run directory; nothing where there is none.
std::optional<json::object> document(const std::string& file, std::vector<Damage>& damage) {
  if (!fs::exists(file)) return std::nullopt;
  boost::system::error_code error;
  const json::value value = json::parse(read_file(file), error);
  if (!error && value.is_object()) return value.get_object();
  damage.push_back(
      {.file = fs::path(file).filename().string(),
       .reason = "it is not a JSON object",
       .repair = "Remove it and repeat the run's command, which ends from the last checkpoint."});
  return std::nullopt;
}

std::string repair_of_weights(const std::string& verb) {
  if (verb == "train") {
    return "Remove it and result.json, then repeat the run's command: it writes both again from the last "
           "checkpoint.";
  }
  return "Repeat the command that made it with --fresh, or copy it again.";
}

bool all_finite(const Dictionary& dictionary) {
  const auto finite = [](const auto& tensor) {
    for (const float value : tensor.view().span()) {
      if (!std::isfinite(value)) return false;
    }
    return true;
  };
  return finite(dictionary.encoder) && finite(dictionary.decoder) && finite(dictionary.encoder_bias) &&
         finite(dictionary.decoder_bias) && finite(dictionary.thresholds);
}

}  // namespace

bool is_dictionary(const std::string& path) {
  if (fs::is_directory(path)) return fs::exists(path + "/" + kDictionaryFile) || is_saelens_directory(path);
  if (!fs::exists(path) || !path.ends_with(".safetensors")) return false;
  try {
    return is_dictionary_file(path) || is_plain_safetensors(path);
  } catch (const Error&) {
    return false;
  }
}

json::object inspect_dictionary(const std::string& path) {
  Memory memory;
  const DictionaryFile file = load_dictionary(path, memory);
  const Dictionary& d = file.dictionary;
  json::object origin;
  for (const auto& [key, value] : file.metadata) origin[key] = value;
  return {{"kind", "sae"},
          {"path", path},
          {"format", file.metadata.at("format")},
          {"architecture", json::string_view(name_of(d.architecture))},
          {"d_model", d.d_model},
          {"latents", d.latents},
          {"k", d.k},
          {"normalize_activations", json::string_view(name_of(d.input_scaling))},
          {"sources", d.sources},
          {"input_scale", d.input_scale},
          {"threshold", d.threshold},
          {"has_encoder_bias", d.has_encoder_bias},
          {"subtract_decoder_bias", d.subtract_decoder_bias},
          {"rescale_acts_by_decoder_norm", d.rescale_acts_by_decoder_norm},
          {"parameter_bytes", d.encoder.view().bytes() + d.encoder_bias.view().bytes() +
                                  d.decoder.view().bytes() + d.decoder_bias.view().bytes() +
                                  d.thresholds.view().bytes()},
          {"weights_sha256", sha256_of(d)},
          {"origin", std::move(origin)}};
}

std::vector<Damage> verify_dictionary(const std::string& path) {
  std::vector<Damage> damage;
  const bool is_run = fs::exists(path + "/" + kDictionaryFile);
  const auto run = is_run ? document(path + "/run.json", damage) : std::nullopt;
  const auto result = is_run ? document(path + "/" + kResultFile, damage) : std::nullopt;
  const auto text_of = [](const std::optional<json::object>& object, const char* key) -> std::string {
    const json::value* value = object ? object->if_contains(key) : nullptr;
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
  };
  const std::string repair = repair_of_weights(text_of(run, "verb"));
  const std::string name = is_run ? kDictionaryFile : path;
  try {
    Memory memory;
    const DictionaryFile file = load_dictionary(path, memory);
    const std::string recorded = text_of(result, "weights_sha256");
    const std::string found = sha256_of(file.dictionary);
    if (!recorded.empty() && recorded != found) {
      damage.push_back(
          {.file = name,
           .reason = fmt::format("the SHA-256 of its weights is {}, result.json records {}", found, recorded),
           .repair = repair});
    } else if (!all_finite(file.dictionary)) {
      damage.push_back({.file = name, .reason = "a weight is not a finite number", .repair = repair});
    }
  } catch (const Error& error) {
    damage.push_back({.file = name, .reason = error.what(), .repair = repair});
  }
  return damage;
}

}  // namespace orthant::sae
