// One pass over activations: blocks of whole sequences are dealt to replicas, read and encoded.
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

namespace orthant::sae {

// A block that this rank encoded: `codes` are of this slice's latents.
struct EncodedBlock {
  int64_t index = 0;
  int64_t first_row = 0;
  kernels::CodesView codes;
  const RowLabels* labels = nullptr;
};

// What a pass works on, and what its owner wants to know and decide. All outlives the pass.
struct CodePass {
  const Dictionary* dictionary = nullptr;  // this rank's slice
  ActivationSource* source = nullptr;      // in file order
  std::span<const int64_t> blocks;         // sequence_blocks()
  World* world = nullptr;
  Grid* grid = nullptr;
  int virtual_shards = 0;
  // Local. For each block of this rank, before it counts as done.
  std::function<void(const EncodedBlock&)> encoded = [](const EncodedBlock&) {};
  // Collective. What ranks have for themselves is brought together: the first so many blocks are done.
  std::function<void(int64_t blocks_done)> merge = [](int64_t) {};
  std::function<bool()> stop_wanted = [] { return false; };                           // any rank
  std::function<bool(int64_t blocks_done)> save_due = [](int64_t) { return false; };  // asked of rank 0
  std::function<void()> save = [] {};  // Collective, after merge
  std::function<void(int64_t blocks_done)> shown = [](int64_t) {};
};

enum class PassEnd { kFinished, kStopped };

// Goes on from block `first`. At the end, or when it was stopped, all is merged and saved.
PassEnd run_code_pass(const CodePass& pass, int64_t first, Memory& memory);

}  // namespace orthant::sae
