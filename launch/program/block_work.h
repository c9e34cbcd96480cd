// Work over a text in blocks that ranks take in rounds of one each, in order: "the first n blocks are done"
// says all, so it stops, saves and goes on at any number of ranks. With progress, checkpoints and stop
// requests as every job has them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "launch/program/verb.h"
#include "runtime/job/checkpointable.h"

namespace orthant::launch {

struct BlockWork {
  std::span<const int64_t> offsets;         // block b is tokens [offsets[b], offsets[b + 1])
  std::vector<Checkpointable*> state;       // what the blocks are added to; complete after add()
  std::function<void(int64_t block)> take;  // Local. Reads and measures a block; may throw.
  // Collective. Adds what was taken in a round: `blocks` [first of rank 0, ..., end of the last rank],
  // ranks + 1; a rank without a block has an empty one.
  std::function<void(std::span<const int64_t> blocks)> add;
};

struct BlockWorkDone {
  bool stopped = false;  // saved; the command continues it
  int64_t tokens = 0;    // worked off by this attempt, over all ranks
  double seconds = 0.0;
};

// Collective. Continues from the newest checkpoint of the run directory.
[[nodiscard]] BlockWorkDone run_blocks(Invocation& call, const BlockWork& work);

}  // namespace orthant::launch
