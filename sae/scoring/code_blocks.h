// The codes of a pass on disk: what is shown of the latents that were chosen needs no second pass over the
// model.
//
//   FOLDER/block-000000012.shard-000-of-001.safetensors   the latents of one shard
//     row_offsets I64 [rows + 1], latents I32 [entries], values F32 [entries], first_row I64 [1]
//
// A file appears when it is complete, and a block that is encoded again gives the same file. Attempts may
// have cut the latents in different ways. Not Collective.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "runtime/core/share.h"
#include "sae/measure/firings.h"
#include "sae/scoring/code_pass.h"

namespace orthant::sae {

// Throws Error(kIo).
void write_code_block(const std::string& folder, const EncodedBlock& block, int shard, int shards);

// Calls visit(codes, first_row) for each part of each block in order; codes are valid during the call. Throws
// Error(kData) for a file that is damaged and for a block of which a part is missing.
void visit_code_blocks(const std::string& folder, Share blocks,
                       const std::function<void(kernels::CodesView, int64_t first_row)>& visit);

// Where `latents` fired in `blocks`. Throws what visit_code_blocks() throws.
[[nodiscard]] FiringCollector firings_in_blocks(const std::string& folder, Share blocks,
                                                std::span<const int64_t> latents);

}  // namespace orthant::sae
