// SAELens 6 directories (cfg.json, sae_weights.safetensors, sparsity.safetensors): writing and loading.
//
// Tensors there are W_enc [d_in, d_sae], W_dec [d_sae, d_in], b_enc [d_sae], b_dec [d_in] and, of jumprelu,
// threshold [d_sae]. Written files are F32 and work on raw activations: scalings are folded, BatchTopK
// becomes jumprelu with one threshold for all latents. Not thread-safe on one directory.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sae/dictionary/dictionary.h"

namespace orthant::sae {

// What an export says of where the dictionary comes from; empty texts are written as null.
struct Provenance {
  std::string model_name = {};
  std::string model_class_name = {};
  std::string hook_name = {};
  std::string dataset_path = {};
  int64_t context_size = 0;  // 0: unknown
  bool prepend_bos = false;
  boost::json::object orthant = {};  // own fields, kept under metadata.orthant
};

// Writes the directory from a whole dictionary as trained; `firing_frequency` [latents] (or empty) becomes
// sparsity.safetensors. Returns the paths written. Throws Error(kConfig) when the dictionary is one slice or
// a BatchTopK threshold was never estimated, Error(kIo) when the disk refuses.
std::vector<std::string> write_saelens(const Dictionary& dictionary, const Provenance& provenance,
                                       std::span<const double> firing_frequency,
                                       const std::string& directory);

struct LoadedDictionary {
  Dictionary dictionary;
  std::string format;            // what was recognised, for people
  boost::json::object metadata;  // provenance as found
};

// Loads part `shard` of `shards` of the latents (versions 6 and before). Throws Error(kData) naming the file
// and what is wrong: unsupported architecture, missing tensor, shape that differs from cfg.json.
[[nodiscard]] LoadedDictionary load_saelens(const std::string& directory, Memory& memory, int64_t shards = 1,
                                            int64_t shard = 0);

}  // namespace orthant::sae
