// Files of a scoring job for other programs.
#pragma once

#include <string>
#include <vector>

#include "launch/score/score_contexts.h"
#include "models/transformer/hook.h"

namespace orthant::launch {

// FOLDER/latents/HOOK: the codes of the scored text in a few files of latents each
// (sae/scoring/latent_cache.h) and config.json, as delphi (EleutherAI) reads them. Collective over the world.
void write_delphi(const ScoredCodes& codes, const std::string& hook, const std::string& folder, World& world);

// FOLDER/batch-N.json, run_settings.json and skipped_indexes.json as SAEDashboard writes them for
// Neuronpedia: the largest contexts, then the intervals, histogram and logits of each card. What is not
// computed (correlations with neurons and latents, the histogram of all logits) is an empty list. Not
// Collective.
void write_neuronpedia(const ScoredCodes& codes, const std::string& hook,
                       const std::vector<LatentCard>& cards, const std::string& folder);

}  // namespace orthant::launch
