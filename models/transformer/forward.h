// The forward pass of a Llama-family language model: embedding, blocks, taps and edits on the way, final
// hidden rows.
//
// Sequences of different lengths lie end to end without padding, so a batch costs what its tokens cost. What
// a token gives depends on its own sequence alone, bit for bit: not on the batch, the number of threads,
// whether the keys came from a cache or whether sequences share their beginning. The precision of the weights
// is that of the projections, of the MLP and of the head; attention between tokens, norms and the residual
// stream are f32. It runs where the weights are: run state, cache, taps and stream are of that device, and
// results are there once the stream has come so far. Not Collective. One thread at a time per RunState.
#pragma once

#include <span>

#include "models/transformer/decode_weights.h"
#include "models/transformer/hook.h"
#include "models/transformer/pruning.h"
#include "models/transformer/run_state.h"
#include "models/transformer/weights.h"
#include "runtime/job/residual_edit.h"

namespace orthant::models {

// Tokens of all sequences end to end: sequence s is token_ids[offsets[s], offsets[s + 1]). Where sequences
// begin alike, what they share can be a sequence of its own, which the others continue as if it stood before
// each of them: sequence s continues sequence parents[s], or none (-1). A parent comes before its children,
// has no parent itself, and goes without a cache.
struct TokenBatch {
  std::span<const int32_t> token_ids;     // [tokens], on the host
  std::span<const int64_t> offsets;       // [sequences + 1], on the host
  std::span<const int64_t> parents = {};  // [sequences], on the host; empty: none has one
  [[nodiscard]] int64_t tokens() const { return static_cast<int64_t>(token_ids.size()); }
  [[nodiscard]] int64_t sequences() const { return static_cast<int64_t>(offsets.size()) - 1; }
  [[nodiscard]] int64_t rows_of(int64_t sequence) const {
    const auto s = static_cast<size_t>(sequence);
    return offsets[s + 1] - offsets[s];
  }
  [[nodiscard]] int64_t parent_of(int64_t sequence) const {
    return parents.empty() ? -1 : parents[static_cast<size_t>(sequence)];
  }
};

// Copies what passes the hook, after the edits there. `into` [tokens, d_model].
struct Tap {
  HookPoint hook;
  Matrix<float> into;
};

// Changes what passes the hook. Several at one hook apply in order.
struct EditAt {
  HookPoint hook;
  ResidualEdit* edit = nullptr;
};

struct ForwardArgs {
  TokenBatch batch;
  std::span<const Tap> taps = {};
  std::span<const EditAt> edits = {};
  std::span<const int64_t> logit_rows = {};  // rows of the batch whose final hidden state is wanted
  // The tokens continue the slots' sequences, one slot a sequence, and are stored; all blocks run. Null:
  // sequences begin at position 0 and nothing is kept.
  KvCache* cache = nullptr;
  // How the inputs of projections are pruned; with a state for it. A selection that looks across rows sees
  // those of this forward alone, not what a cache holds.
  const ModelPruning* pruning = nullptr;
  PruningState* pruning_state = nullptr;
  const ProjectionInputs* inputs = nullptr;  // with a state for whole batches
  // Where a forward has one row, its projections come from these weights, f32 or not; the others are as ever.
  const DecodeWeights* decode_weights = nullptr;
  DecodeState* decode_state = nullptr;
  // Begins with these rows [tokens, d_model] before block `first_block`, in place of the embedding.
  Matrix<const float> residual = {};
  int64_t first_block = 0;
};

// Runs the blocks that the taps, the logit rows and the cache need and no further, and returns the normed
// final hidden state of logit_rows [logit_rows, d_model], valid until the next forward. Throws Error(kData)
// for a token outside the vocabulary; a batch beyond the limits of `state` or a hook that was not loaded is a
// bug.
Matrix<const float> forward(const Weights& weights, const ForwardArgs& args, RunState& state, Stream& stream);

// logits [rows, vocabulary] of rows that forward() returned (or of any part of them).
void project_logits(const Weights& weights, Matrix<const float> hidden, Matrix<float> logits, RunState& state,
                    Stream& stream);

// Floating-point operations of the first `blocks` blocks for one token of a sequence of `positions`, on
// average: what RunState::flops counts of it.
[[nodiscard]] double forward_flops_per_token(const ModelConfig& config, int64_t blocks, int64_t positions);

}  // namespace orthant::models
