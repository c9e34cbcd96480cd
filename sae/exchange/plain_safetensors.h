// One safetensors file a dictionary, for notebooks: latent-major F32 tensors on raw activations, conventions
// as header metadata.
//
// Tensors: encoder [latents, d_model], encoder_bias [latents], decoder [latents, d_model], decoder_bias
// [d_model] and, of jumprelu, thresholds [latents]. A latent's activation is relu(<x - decoder_bias, encoder
// row> + encoder_bias), with x - decoder_bias read as x where subtract_decoder_bias is "false". Not
// thread-safe on one file.
#pragma once

#include <string>

#include "sae/exchange/saelens.h"

namespace orthant::sae {

// From a whole dictionary as trained. Throws Error(kConfig) when it is one slice, Error(kIo) when the disk
// refuses.
void write_plain_safetensors(const Dictionary& dictionary, const Provenance& provenance,
                             const std::string& path);

// Whether the file says that write_plain_safetensors() wrote it.
[[nodiscard]] bool is_plain_safetensors(const std::string& path);

// Loads part `shard` of `shards` of the latents. Throws Error(kData) naming the file and the field or tensor.
[[nodiscard]] LoadedDictionary load_plain_safetensors(const std::string& path, Memory& memory,
                                                      int64_t shards = 1, int64_t shard = 0);

}  // namespace orthant::sae
