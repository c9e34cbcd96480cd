// What is shown of the latents that a scoring job chose: contexts, how activations are distributed, and the
// tokens that a latent makes likely. Collective over the world.
#pragma once

#include <span>
#include <string>

#include "launch/config.pb.h"
#include "launch/score_files.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/comm/world.h"
#include "runtime/job/activation_source.h"
#include "sae/dictionary/dictionary.h"

namespace orthant::launch {

struct ShownLatents {
  const Score* config = nullptr;
  const sae::Dictionary* dictionary = nullptr;  // this rank's slice
  ActivationSource* source = nullptr;           // in file order
  const models::Tokenizer* tokenizer = nullptr;
  std::string codes_folder;  // of code_blocks.h
  int64_t blocks = 0;
  int64_t rows = 0;
};

// The lines of contexts.jsonl on rank 0, empty elsewhere: the best latents, activations with unit decoder
// rows. Throws Error(kData) where codes are missing.
[[nodiscard]] std::string contexts_of_scores(const ShownLatents& shown, const LatentScores& scores,
                                             const sae::LatentTotals& totals, World& world, Grid& grid);

}  // namespace orthant::launch
