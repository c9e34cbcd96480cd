// A dictionary as trained in one safetensors file: latent-major rows, conventions in the header's metadata.
//
// It is what a training run leaves beside its result; scalings are not folded (export folds them). Written
// shard by shard through rank 0, so that nobody holds more than one slice beside its own; any number of
// shards loads it.
#pragma once

#include <map>
#include <string>

#include "sae/dictionary/dictionary.h"

namespace orthant::sae {

// Collective over the shards. Appears under its name when it is complete; Error(kIo) on every rank when the
// disk refuses. `metadata` travels in the header beside the conventions. `writes`: false on replicas that
// only take part.
void write_dictionary_file(const Dictionary& dictionary, const std::map<std::string, std::string>& metadata,
                           const std::string& path, Communicator& shards, bool writes, Stream& stream);

// Whether the file's header says that write_dictionary_file() wrote it. False for a damaged header.
[[nodiscard]] bool is_dictionary_file(const std::string& path);

struct DictionaryFile {
  Dictionary dictionary;
  std::map<std::string, std::string> metadata;
};

// Latents `slice` of the file; the whole dictionary by default. Throws Error(kData) naming what is missing.
[[nodiscard]] DictionaryFile read_dictionary_file(const std::string& path, Memory& memory, int shards = 1,
                                                  int shard = 0, int virtual_shards = 0);

}  // namespace orthant::sae
