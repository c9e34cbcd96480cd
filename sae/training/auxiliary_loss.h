// AuxK (arXiv 2406.04093, appendix A.2): latents that have not fired for long reconstruct what the main codes
// left over, so that they receive gradients and come back.
//
// Owns its codes and gradients; memory is allocated at construction. Not thread-safe.
#pragma once

#include <vector>

#include "sae/dictionary/reconstruction.h"
#include "sae/dictionary/shard_encoder.h"
#include "sae/training/batch_sums.h"
#include "sae/training/gradient_path.h"

namespace orthant::sae {

// Latents the auxiliary loss selects of each row; 0 where the conventions have no such loss.
[[nodiscard]] int64_t auxiliary_k(const Conventions& conventions, int64_t d_model);

// What the main pass of a step left.
struct MainPass {
  Matrix<const float> input;           // [own rows, d_model]
  Matrix<const float> centred;         // [own rows, d_model] input of the encoder
  Matrix<float> reconstruction;        // [own rows, d_model]; overwritten
  Matrix<float> gradient;              // [held rows, d_model] of the reconstruction
  Vector<const int32_t> dead_latents;  // local numbers, ascending
  int64_t dead_of_all_shards = 0;
};

class AuxiliaryLoss {
 public:
  // `error_share`: what the loss divides squared errors by, as a factor.
  AuxiliaryLoss(Memory& memory, const Conventions& conventions, int64_t d_model, double error_share,
                ReplicaExchange& exchange, Communicator& shards, ShardSum& sum, BatchSums& batch);

  // Local. The same on every rank: `dead_latents` are of all shards.
  [[nodiscard]] bool applies(int64_t dead_latents) const { return k_ > 0 && dead_latents > 0; }
  // Whether the last evaluate() encoded the dead latents by a product of their own.
  [[nodiscard]] bool multiplied() const { return multiplied_; }

  // Collective over the world. Returns the loss before its weight; the gradient of the main reconstruction
  // grows by what reaches it through the residual, unless that is detached.
  double evaluate(const MainPass& pass, const Dictionary& dictionary, ShardEncoder& encoder, Stream& stream);

  // Collective over the replicas. After evaluate(): the path of the auxiliary codes.
  [[nodiscard]] kernels::CodePath path(const Dictionary& dictionary, Stream& stream);

 private:
  void select_dead(const MainPass& pass, const Dictionary& dictionary, ShardEncoder& encoder, Stream& stream);
  [[nodiscard]] double weight(Matrix<const float> gradient, Stream& stream);

  int64_t k_;
  double alpha_;
  bool normalized_;
  bool detached_;
  bool multiplied_ = false;
  double error_share_;
  ReplicaExchange* exchange_;
  Communicator* shards_;
  ShardSum* sum_;
  BatchSums* batch_;
  std::vector<int64_t> dead_per_shard_;  // [shards]
  Tensor<float, 2> residual_;            // [own rows, d_model] input - reconstruction
  Tensor<float, 2> gradient_;            // [held rows, d_model] of the auxiliary reconstruction
  kernels::Codes codes_;
  GradientPath path_;
};

}  // namespace orthant::sae
