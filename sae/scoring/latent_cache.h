// A cache of latents as delphi (EleutherAI) reads it, from the codes of a pass.
//
//   FOLDER/<first>_<last>.safetensors   the latents first to last, both among them
//     locations U16, or U32 where a number needs it, [entries, 3]: sequence, position, latent - first
//     activations F16 [entries], tokens I32 [sequences, longest]
//
// Entries of a latent lie by sequence, then position; a sequence that is shorter than the longest is filled
// up at its end. Activations are those of the dictionary as it is; what F16 cannot hold becomes its largest
// number. Not Collective.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/core/share.h"
#include "sae/scoring/token_injection.h"

namespace orthant::sae {

struct LatentCache {
  std::string folder;
  std::string codes_folder;  // of code_blocks.h
  Share blocks;
  const TokenText* text = nullptr;  // of the rows of the blocks, from row 0
  int32_t filler = 0;               // token behind the end of a short sequence
};

// Writes the file of `latents`. Throws Error(kIo), and Error(kData) for codes that are missing or damaged.
void write_latent_cache(const LatentCache& cache, Share latents);

}  // namespace orthant::sae
