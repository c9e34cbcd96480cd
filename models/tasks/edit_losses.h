// Mean cross-entropy and KL divergence over sequences, with and without edits of the residual stream: the
// parts of CE loss recovered and of KL scores.
//
// The sequences are dealt over the ranks, and each one's sums are added in their order, so the result does
// not depend on the number of ranks. Collective over the world.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "models/tasks/edit_effect.h"
#include "runtime/comm/communicator.h"

namespace orthant::models {

// Tokens whose prediction of the next one does not count.
struct UncountedTokens {
  std::vector<int32_t> token_ids = {};
  std::vector<int32_t> positions = {};
};

struct EditLoss {
  double ce = 0.0;  // nats a token
  double kl = 0.0;  // KL(p_original || p_edited), nats a token
};

struct EditLosses {
  int64_t sequences = 0;
  int64_t tokens = 0;                // that predict a next token and count
  int64_t uncounted = 0;             // that predict a next token and do not count
  double ce = 0.0;                   // of the model as it is, nats a token
  std::vector<EditLoss> edits = {};  // in the order given
};

struct EditLossOptions {
  HookPoint hook;
  UncountedTokens uncounted = {};
  int64_t batch_tokens = 1024;  // of one forward; sequences are never cut
  // Called on every rank before each of the same number of rounds with the share of work done; may throw, on
  // all ranks, to stop.
  std::function<void(double share)> progress = [](double) {};
};

// Sequences begin at position 0. Throws what the forward throws.
[[nodiscard]] EditLosses measure_edit_losses(const Weights& weights,
                                             std::span<const std::vector<int32_t>> sequences,
                                             std::span<ResidualEdit* const> edits,
                                             const EditLossOptions& options, Communicator& world,
                                             Memory& memory, Stream& stream);

}  // namespace orthant::models
