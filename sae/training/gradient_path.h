// The codes of a batch on their way to the latents: the gradient of each value, codes and gradients of all
// replicas where codes travel, and the order by latent. One for the main codes, one for the auxiliary ones.
// Memory is allocated at construction; not thread-safe.
#pragma once

#include "kernels/codes/latent_step.h"
#include "sae/training/replica_exchange.h"

namespace orthant::sae {

class GradientPath {
 public:
  // Room for `own_entries` codes of this replica's rows and for `held_entries` of the rows held; `slice`: the
  // latents of this shard.
  GradientPath(Memory& memory, ReplicaExchange& exchange, Share slice, int64_t own_entries,
               int64_t held_entries);

  // Local. [own_entries] of this replica's codes.
  [[nodiscard]] Vector<float> value_gradients() { return value_gradients_.view(); }
  // Local. Computes them: `decoder` [local_latents, d_model], `gradient` [own rows, d_model].
  void find_value_gradients(kernels::CodesView codes, Matrix<const float> decoder,
                            Matrix<const float> gradient, Stream& stream);

  // Local. The path of this replica's codes, whose value gradients are known; `gradient` [own rows, d_model].
  [[nodiscard]] kernels::CodePath local(kernels::CodesView codes, Matrix<const float> gradient,
                                        Stream& stream);
  // Collective over the replicas. The path of all rows held; `gradient` [held rows, d_model].
  [[nodiscard]] kernels::CodePath held(kernels::CodesView codes, Matrix<const float> gradient,
                                       Stream& stream);

 private:
  ReplicaExchange* exchange_;
  int64_t first_latent_;
  Tensor<float, 1> value_gradients_;      // [own_entries]
  kernels::Codes all_codes_;              // of all replicas, where there are several and codes travel
  Tensor<float, 1> all_value_gradients_;  // [held_entries] then
  kernels::LatentOrder order_;
};

}  // namespace orthant::sae
