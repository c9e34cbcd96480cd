// A dictionary at work on activations: codes and reconstructions as they are after training.
//
// TopK selects k of each row over all shards; BatchTopK fires above its calibrated threshold; standard fires
// where positive; jumprelu above one threshold a latent. Collective over the shards; not thread-safe.
#pragma once

#include "kernels/codes/codes.h"
#include "sae/dictionary/dictionary.h"
#include "sae/dictionary/input_scaling.h"
#include "sae/dictionary/reconstruction.h"
#include "sae/dictionary/shard_encoder.h"

namespace orthant::sae {

class Inference {
 public:
  // Batches of at most `rows` rows. The dictionary outlives this and does not change (pack() after a change).
  // virtual_shards as in training: 0 for fast sums.
  Inference(Memory& memory, const Dictionary& dictionary, int64_t rows, Communicator& shards,
            int virtual_shards);
  void pack();

  // Codes of `x` [rows, d_model] (raw activations, unchanged): this slice's latents, global numbers. Valid
  // until the next call.
  kernels::CodesView encode(Matrix<const float> x);
  // What the codes of the last encode() stand for, in raw activations: `out` [rows, d_model].
  void decode(Matrix<float> out);
  // Where both put their work.
  [[nodiscard]] Stream& stream() { return stream_; }

 private:
  Memory* memory_;
  const Dictionary* dictionary_;
  Communicator* shards_;
  int64_t rows_;
  Stream stream_;  // goes after the memory that its work uses
  ShardSum sum_;
  ShardEncoder encoder_;
  InputScaler scaler_;
  Tensor<float, 2> centred_;
  kernels::Codes codes_;
  kernels::CodesView view_;
};

}  // namespace orthant::sae
