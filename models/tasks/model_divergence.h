// How far the next-token distributions of two language models are apart, token by token: KL divergence in
// both directions and both cross-entropies. One forward of each model over a batch.
//
// Not Collective. One thread.
#pragma once

#include <vector>

#include "models/tasks/token_scores.h"

namespace orthant::models {

// Of the rows of a batch that predict a next token, in order. Nats.
struct TokenDivergences {
  std::vector<int64_t> rows = {};
  std::vector<double> nll = {};         // of the token that follows, by the first model
  std::vector<double> other_nll = {};   // by the other
  std::vector<double> kl = {};          // KL(p || q), p of the first model, q of the other
  std::vector<double> reverse_kl = {};  // KL(q || p)
  std::vector<bool> agree = {};         // the most probable token is the same
};

class DivergenceMeter {
 public:
  // Both weights outlive the object and have the same vocabulary; `limits` as for RunState.
  DivergenceMeter(const Weights& weights, const Weights& other, RunLimits limits, Memory& memory,
                  Stream& stream);

  [[nodiscard]] TokenDivergences measure(const TokenBatch& batch);

 private:
  // One of the two models with room to run.
  struct Model {
    Model(const Weights& own, RunLimits limits, Memory& memory)
        : weights(&own), state(memory, own, limits), logits(own, memory) {}
    const Weights* weights;
    RunState state;
    LogitBlock logits;
    Matrix<const float> hidden = {};  // of the scored rows, until its next forward
  };
  void project(Model& model, int64_t first, std::span<const int32_t> targets);

  Stream& stream_;
  Model first_;
  Model other_;
};

}  // namespace orthant::models
