#include "sae/exchange/exchange.h"

#include <fmt/format.h>

#include <filesystem>

#include "runtime/core/error.h"
#include "sae/exchange/plain_safetensors.h"

namespace orthant::sae {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kCheckedRows = 32;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw Error(ExitCode::kData,
              {.problem = fmt::format("'{}' is no dictionary that can be read", path),
               .why = why,
               .suggestion = "Give a SAELens directory (cfg.json and sae_weights.safetensors) or a "
                             ".safetensors file that orthant exported."});
}

std::string describe_directory(const std::string& path) {
  if (fs::exists(path + "/sae.safetensors")) return "it looks like a sparsify directory";
  if (fs::exists(path + "/ae.pt")) return "it looks like a dictionary_learning directory";
  if (fs::exists(path + "/cfg.json")) return "it has cfg.json but no sae_weights.safetensors";
  if (fs::exists(path + "/sae_weights.safetensors")) return "it has sae_weights.safetensors but no cfg.json";
  return "it has neither cfg.json nor sae_weights.safetensors";
}

}  // namespace

ExchangeFormat exchange_format_from_name(std::string_view name) {
  if (name == "saelens") return ExchangeFormat::kSaelens;
  if (name == "safetensors") return ExchangeFormat::kSafetensors;
  throw Error(ExitCode::kConfig, {.problem = fmt::format("the export format '{}' is unknown", name),
                                  .suggestion = "Use saelens or safetensors."});
}

ExportResult export_dictionary(const Dictionary& dictionary, const Provenance& provenance,
                               std::span<const double> firing_frequency, ExchangeFormat format,
                               const std::string& path) {
  ExportResult result;
  if (format == ExchangeFormat::kSaelens) {
    result.files = write_saelens(dictionary, provenance, firing_frequency, path);
  } else {
    write_plain_safetensors(dictionary, provenance, path);
    result.files = {path};
  }
  Memory memory;
  const LoadedDictionary reloaded = import_dictionary(path, memory);
  result.check = compare_latents(dictionary, reloaded.dictionary, kCheckedRows);
  return result;
}

LoadedDictionary import_dictionary(const std::string& path, Memory& memory, int64_t shards, int64_t shard) {
  if (!fs::exists(path)) {
    throw Error(ExitCode::kData, {.problem = fmt::format("'{}' does not exist", path),
                                  .suggestion = "Give the path of a dictionary."});
  }
  if (fs::is_directory(path)) {
    if (!fs::exists(path + "/cfg.json") || !fs::exists(path + "/sae_weights.safetensors")) {
      refuse(path, describe_directory(path));
    }
    return load_saelens(path, memory, shards, shard);
  }
  if (!path.ends_with(".safetensors")) refuse(path, "its name does not end in .safetensors");
  if (!is_plain_safetensors(path)) refuse(path, "its header does not say how its tensors are to be used");
  return load_plain_safetensors(path, memory, shards, shard);
}

}  // namespace orthant::sae
