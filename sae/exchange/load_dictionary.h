// A dictionary from whatever a user calls one: a training run's directory, a dictionary file, or a directory
// or file of another program.
#pragma once

#include <map>
#include <string>

#include "sae/dictionary/dictionary_file.h"

namespace orthant::sae {

// The name that a training run gives its dictionary inside its directory.
inline constexpr const char* kDictionaryFile = "dictionary.safetensors";

// Part `shard` of `shards` of the latents; the whole dictionary by default. Throws Error(kData) naming what
// was found and what can be read; a run that has not finished is told from one that never was.
[[nodiscard]] DictionaryFile load_dictionary(const std::string& path, Memory& memory, int shards = 1,
                                             int shard = 0, int virtual_shards = 0);

// What the header of a dictionary that was trained here says; empty of those of other programs. Throws
// Error(kIo) where there is nothing.
[[nodiscard]] std::map<std::string, std::string> dictionary_header(const std::string& path);

}  // namespace orthant::sae
