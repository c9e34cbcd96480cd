// BatchTopK encode: candidates above a prefilter, then the exact selection over the global batch.
//
// The prefilter follows the cutoff of the last batch and changes only the time, never the result: when it
// leaves too few candidates or more than there is room for, the block is encoded again. Every decision is
// agreed by all ranks. Where activations are ranked by their decoder norms, cutoff, prefilter and the
// smallest selected value are of activations times norm; the codes are activations. encode() is Collective
// over the world; not thread-safe.
#pragma once

#include <cstdint>

#include "sae/dictionary/shard_encoder.h"

namespace orthant::sae {

class BatchTopKEncoder {
 public:
  // Room for `capacity` candidates of this rank's rows and latents; grows when ties leave no choice.
  BatchTopKEncoder(Memory& memory, int64_t rows, int64_t capacity);

  // This rank's rows of the batch begin at `first_row` of it; `keep` is k times the rows of the whole batch.
  // The codes stay valid until the next call.
  BatchSelected encode(Matrix<const float> centred, int64_t first_row, int64_t keep, int64_t batch_rows,
                       const Dictionary& dictionary, ShardEncoder& encoder, Communicator& world,
                       Stream& stream);
  [[nodiscard]] kernels::CodesView codes(int64_t rows) { return codes_.view(rows); }
  // Blocks encoded so far, counted in batches: 1 a step when the prefilter is right.
  [[nodiscard]] int64_t encodes() const { return encodes_; }

 private:
  [[nodiscard]] float estimate_prefilter(Matrix<const float> centred, int64_t keep, int64_t batch_rows,
                                         const Dictionary& dictionary, ShardEncoder& encoder,
                                         Communicator& world, Stream& stream);
  Memory* memory_;
  int64_t rows_;
  int64_t capacity_;
  kernels::Codes codes_;
  BatchSelection selection_;
  float prefilter_ = -1.0f;  // negative: to be estimated
  int64_t encodes_ = 0;
};

}  // namespace orthant::sae
