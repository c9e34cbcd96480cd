// What is shown of the latents that a scoring job chose: contexts, how activations are distributed, and the
// tokens that a latent makes likely.
#pragma once

#include <string>
#include <vector>

#include "launch/config.pb.h"
#include "launch/score/score_files.h"
#include "models/tasks/direction_logits.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/comm/world.h"
#include "runtime/job/activation_source.h"
#include "sae/dictionary/dictionary.h"
#include "sae/measure/histogram.h"
#include "sae/measure/top_contexts.h"

namespace orthant::launch {

// The codes of a pass, and what they are of.
struct ScoredCodes {
  const Score* config = nullptr;
  const sae::Dictionary* dictionary = nullptr;  // this rank's slice
  ActivationSource* source = nullptr;           // in file order
  const models::Tokenizer* tokenizer = nullptr;
  std::string codes_folder;  // of code_blocks.h
  int64_t blocks = 0;        // of the scored text
  int64_t rows = 0;          // of the scored text
  uint64_t seed = 0;
};

// One latent; activations with a unit decoder row.
struct LatentCard {
  double score = 0.0;
  double density = 0.0;  // share of the rows in which it fires
  sae::LatentContexts top;
  std::vector<sae::ContextInterval> intervals;
  sae::Histogram histogram;        // of activations above 0, from 0 to the largest
  models::DirectionLogits logits;  // empty where they were not asked for
  std::vector<float> direction;    // [d_model] unit decoder row
};

// The best latents, on rank 0; empty elsewhere. Collective over the world. Throws Error(kData) where codes
// are missing.
[[nodiscard]] std::vector<LatentCard> cards_of_scores(const ScoredCodes& codes, const LatentScores& scores,
                                                      const sae::LatentTotals& totals, World& world,
                                                      Grid& grid);

// contexts.jsonl. Pure.
[[nodiscard]] std::string lines_of_cards(const std::vector<LatentCard>& cards,
                                         const models::Tokenizer& tokenizer);

}  // namespace orthant::launch
