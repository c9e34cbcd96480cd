// Encoding with one slice of the latents and exact selection over all slices: used by training and inference.
//
// Owns the packed encoder, in the dictionary's precision, which must be packed again after every change of
// the weights. Not thread-safe.
#pragma once

#include <span>
#include <vector>

#include "kernels/encode.h"
#include "sae/dictionary/dictionary.h"
#include "sae/dictionary/selection.h"

namespace orthant::sae {

// The latents each of `shards` ranks holds.
[[nodiscard]] std::vector<int64_t> latents_per_shard(int64_t latents, int shards, int virtual_shards);

class ShardEncoder {
 public:
  // Batches of at most `rows`, selections of at most `k`.
  ShardEncoder(Memory& memory, const Dictionary& dictionary, int64_t rows, int64_t k, Communicator& shards,
               int virtual_shards);

  void pack(const Dictionary& dictionary, Stream& stream);

  // centred = x - b_dec where the architecture subtracts it, else x. May be in place.
  void center(const Dictionary& dictionary, Matrix<const float> x, Matrix<float> centred) const;

  // Collective over the shards. The k largest of each row over all latents; `out` holds those of this slice.
  void topk(Matrix<const float> centred, const Dictionary& dictionary, kernels::CodesView out,
            Stream& stream);

  // Every activation of this slice above `threshold`; returns how many there are (see kernels::encode_above).
  [[nodiscard]] int64_t above(Matrix<const float> centred, const Dictionary& dictionary, float threshold,
                              kernels::CodesView out, Stream& stream);

  // Collective over the shards. The `k` largest of each row among the latents `chosen` [count] (local
  // numbers, ascending) of all slices; `chosen_per_shard` [shards] are the counts.
  void topk_chosen(Matrix<const float> centred, const Dictionary& dictionary, Vector<const int32_t> chosen,
                   std::span<const int64_t> chosen_per_shard, int64_t k, kernels::CodesView out,
                   Stream& stream);

  [[nodiscard]] int shard_count() const { return shards_->size(); }
  [[nodiscard]] const RowSelectionRounds& last_rounds() const { return selection_.rounds(); }

 private:
  [[nodiscard]] kernels::EncodeArgs arguments(Matrix<const float> centred,
                                              const Dictionary& dictionary) const;

  Communicator* shards_;
  kernels::PackedWeights encoder_;
  kernels::PackedWeights chosen_encoder_;
  kernels::EncodeWorkspace workspace_;
  Tensor<float, 1> decoder_norms_;     // [local_latents] where acts are ranked by them, else [0]
  Tensor<float, 1> chosen_bias_;       // [local_latents]
  Tensor<float, 1> chosen_norms_;      // [local_latents] or [0]
  Tensor<int32_t, 1> chosen_numbers_;  // [local_latents] global numbers of the chosen latents
  std::vector<int64_t> latents_per_shard_;
  RowSelection selection_;
};

}  // namespace orthant::sae
