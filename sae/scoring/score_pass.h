// The one pass of a scoring job: codes of every block are added to the sums over windows and, where wanted,
// to the moments of snippets.
//
// Collective over the world.
#pragma once

#include "sae/scoring/code_pass.h"
#include "sae/scoring/pooled_moments.h"
#include "sae/scoring/score_sums.h"
#include "sae/scoring/windows.h"

namespace orthant::sae {

struct ScorePass {
  CodePass codes;  // `merge` is not used: the sums are merged
  const WindowMarker* marker = nullptr;
  // The text that is scored; rows after it are of text that it is compared with, and lie in no window. 0:
  // all.
  int64_t scored_rows = 0;
};

// Goes on from sums.blocks_done(). At the end, or when it was stopped, sums and moments (may be null) are
// merged and saved.
PassEnd run_score_pass(const ScorePass& pass, ScoreSums& sums, PooledMoments* pooled, Memory& memory);

}  // namespace orthant::sae
