// The token-injection control of a scoring job: its best latents, snippets of the contrast text, a forward
// over what was injected.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "launch/score/attended_pass.h"
#include "launch/score/score_contexts.h"
#include "sae/scoring/snippet_maxima.h"

namespace orthant::launch {

// What is injected where; on every rank.
struct InjectionPlan {
  std::vector<int64_t> latents;
  std::vector<std::vector<sae::TokenAffinity>> tokens;  // [latents]
  std::vector<std::vector<int32_t>> snippets;           // of the contrast text
};

// Reads codes and tokens of the pass; the rows behind codes.rows are the contrast text. Collective over the
// world. Throws Error(kConfig) where the contrast text has fewer than two snippets, Error(kData) where codes
// are missing.
[[nodiscard]] InjectionPlan plan_injection(const ScoredCodes& codes, const LatentScores& scores,
                                           World& world);

struct InjectionOutcome {
  bool is_stopped = false;
  std::string lines;           // injection.jsonl: a latent each
  boost::json::object result;  // latents of each class, the tokens that the model was run over
};

// Runs the model over the plan's texts; checkpoints lie in `folder`. Collective over the world.
[[nodiscard]] InjectionOutcome run_injection(const InjectionPlan& plan, const ScoredCodes& codes,
                                             const sae::LatentTotals& totals, Invocation& call, Grid& grid,
                                             int virtual_shards, const std::string& folder);

}  // namespace orthant::launch
