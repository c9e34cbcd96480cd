// Dictionaries to and from other programs: one call to write any format, one that recognises what it is
// given.
//
// Every export is read back from disk and compared with the dictionary in memory. Not Collective: a whole
// dictionary on one rank is written; any slice can be loaded.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sae/exchange/folded_copy.h"
#include "sae/exchange/saelens.h"

namespace orthant::sae {

enum class ExchangeFormat { kSaelens, kSafetensors };

// "saelens" or "safetensors"; throws Error(kConfig) listing them otherwise.
[[nodiscard]] ExchangeFormat exchange_format_from_name(std::string_view name);

struct ExportResult {
  std::vector<std::string> files;
  ReloadCheck check;
};

// `path` is a directory of saelens, a file of safetensors. `firing_frequency` [latents] or empty.
ExportResult export_dictionary(const Dictionary& dictionary, const Provenance& provenance,
                               std::span<const double> firing_frequency, ExchangeFormat format,
                               const std::string& path);

// Loads part `shard` of `shards` of the latents from a SAELens directory or a plain safetensors file. Throws
// Error(kData) saying what was found and what can be read.
[[nodiscard]] LoadedDictionary import_dictionary(const std::string& path, Memory& memory, int64_t shards = 1,
                                                 int64_t shard = 0);

}  // namespace orthant::sae
