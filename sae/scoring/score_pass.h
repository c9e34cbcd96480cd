// The one pass of a scoring job over activations: blocks of whole sequences are dealt to replicas, encoded
// and added to the sums.
//
// Collective over the world. Blocks are worked off in rounds of one a replica, in order, so "the first n
// blocks are done" says all: a pass that was stopped goes on from there on any number of ranks.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "runtime/comm/world.h"
#include "runtime/job/activation_source.h"
#include "sae/dictionary/dictionary.h"
#include "sae/scoring/score_sums.h"
#include "sae/scoring/windows.h"

namespace orthant::sae {

// A block that this rank encoded: `codes` are of this slice's latents.
struct EncodedBlock {
  int64_t index = 0;
  int64_t first_row = 0;
  kernels::CodesView codes;
  const RowLabels* labels = nullptr;
};

// What a pass works on, and what its owner wants to know and decide. All outlives the pass.
struct ScorePass {
  const Dictionary* dictionary = nullptr;  // this rank's slice
  ActivationSource* source = nullptr;      // in file order
  const WindowMarker* marker = nullptr;
  std::span<const int64_t> blocks;  // sequence_blocks()
  World* world = nullptr;
  Grid* grid = nullptr;
  int virtual_shards = 0;
  // Local. For each block of this rank, before it counts as done.
  std::function<void(const EncodedBlock&)> encoded = [](const EncodedBlock&) {};
  std::function<bool()> stop_wanted = [] { return false; };                           // any rank
  std::function<bool(int64_t blocks_done)> save_due = [](int64_t) { return false; };  // asked of rank 0
  std::function<void()> save = [] {};  // Collective, sums merged
  std::function<void(int64_t blocks_done)> shown = [](int64_t) {};
};

enum class ScorePassEnd { kFinished, kStopped };

// Goes on from sums.blocks_done(). At the end, or when it was stopped, the sums are merged and saved.
ScorePassEnd run_score_pass(const ScorePass& pass, ScoreSums& sums, Memory& memory);

}  // namespace orthant::sae
