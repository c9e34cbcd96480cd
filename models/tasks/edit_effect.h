// What edits of the residual stream cost the model: next-token cross-entropy and KL divergence for each
// token, with and without each edit at one hook. CE recovered, KL scores and audits are sums of these.
//
// Not Collective. One thread.
#pragma once

#include <span>
#include <vector>

#include "models/tasks/token_scores.h"

namespace orthant::models {

// Of the scored tokens in order.
struct EditEffect {
  std::vector<double> nll;  // of the token that follows, nats
  std::vector<double> kl;   // KL(p_original || p_edited) of the next-token distribution, nats
};

struct EditEffects {
  std::vector<int64_t> rows;         // of the batch that were scored: all but the last of each sequence
  std::vector<double> original_nll;  // [rows]
  std::vector<EditEffect> edits;     // in the order given
};

class EditMeter {
 public:
  // `weights` outlives the object; `limits` as for RunState; at most `edits` edits are measured together.
  EditMeter(const Weights& weights, RunLimits limits, int64_t edits, Memory& memory, Stream& stream);

  // Runs the model once without and once with each edit at `hook`.
  [[nodiscard]] EditEffects measure(const TokenBatch& batch, HookPoint hook,
                                    std::span<ResidualEdit* const> edits);

 private:
  void keep_hidden(const TokenBatch& batch, std::span<const int64_t> rows, std::span<const EditAt> edits,
                   int64_t index);
  // Scored rows [first, first + targets.size()); targets[i] follows row first + i.
  void compare_block(int64_t first, std::span<const int32_t> targets, EditEffects& effects);
  void project(int64_t index, int64_t first, std::span<const int32_t> targets, LogitBlock& into,
               std::vector<double>& nll);

  const Weights& weights_;
  Stream& stream_;
  RunState state_;
  Tensor<float, 3> hidden_;  // [1 + edits, tokens, d_model] final hidden rows of each run
  LogitBlock original_;
  LogitBlock edited_;
};

}  // namespace orthant::models
