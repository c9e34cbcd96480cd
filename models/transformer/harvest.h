// Activations of a text at one or several hooks of a language model, written to stores: one forward, one
// store a hook.
//
// Data-parallel over all ranks: what the stores still lack is cut at row boundaries into one contiguous part
// a rank. Ranks meet after every forward, so that none waits long for another. A store's rows are the tokens
// of the text in document and position order, whatever the ranks; a harvest that was stopped makes only what
// is missing.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/text/token_rows.h"
#include "models/transformer/forward.h"
#include "runtime/comm/control_group.h"
#include "runtime/core/dtype.h"
#include "runtime/storage/activation_store.h"

namespace orthant::models {

// Where one hook's activations go. `description.rows` is the number of tokens of the text.
struct HarvestTarget {
  HookPoint hook;
  std::string path;
  StoreDescription description;
};

struct HarvestOptions {
  // This rank's tokens done and to do in this attempt.
  std::function<void(int64_t done, int64_t total)> progress;
  // Whether to save and leave; asked on every rank, and one that says so stops all.
  std::function<bool()> stop;
  double publish_seconds = 600;   // complete the open shards at least this often
  int64_t forward_tokens = 4096;  // of one forward: speed against memory
};

struct HarvestOutcome {
  bool stopped = false;                     // finished shards are kept; harvest again to continue
  std::vector<std::string> content_hashes;  // of the targets; empty when stopped
  int64_t tokens_run = 0;                   // over all ranks, in this attempt
};

// The model runs in `memory` and on `stream`, which are of the device of the weights; stores are written from
// `host`, which is `memory` where that is the CPU's. Collective. Throws on every rank what fails on one.
[[nodiscard]] HarvestOutcome harvest(const Weights& weights, const TokenRows& text,
                                     const std::vector<HarvestTarget>& targets, const HarvestOptions& options,
                                     ControlGroup& control, Memory& host, Memory& memory, Stream& stream);

// Counts in `memory` and `host` what the weights and a harvest of `hooks` stores would allocate on each rank
// for a text with rows of at most `context` tokens; only the model's header is read.
void count_harvest(const ModelFile& file, std::span<const HookPoint> hooks, int64_t context, Dtype dtype,
                   kernels::Precision precision, Memory& host, Memory& memory);

// Blocks that a harvest at these hooks needs, for load_weights().
[[nodiscard]] LoadRange blocks_needed(std::span<const HookPoint> hooks);

}  // namespace orthant::models
