// Encoding with one slice of the latents and exact selection over all slices: used by training and inference.
//
// Owns the packed encoder, in the dictionary's precision, which must be packed again after every change of
// the weights; where few of many latents are selected on a processor that has a screen
// (kernels/screen/screen.h), that is one. Not thread-safe.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "kernels/encode/encode.h"
#include "sae/dictionary/dictionary.h"
#include "sae/dictionary/exchange_pipeline.h"
#include "sae/dictionary/selection.h"
#include "sae/dictionary/watched_tops.h"

namespace orthant::sae {

// The latents each of `shards` ranks holds.
[[nodiscard]] std::vector<int64_t> latents_per_shard(int64_t latents, int shards, int virtual_shards);

class ShardEncoder {
 public:
  // Rows of a block of topk() on a device: enough to saturate it, few enough that most of a batch overlaps.
  static constexpr int64_t kExchangeRows = 2048;

  // Batches of at most `rows`, selections of at most `k`; of `k_chosen` in topk_chosen(), 0 where it is not
  // used.
  ShardEncoder(Memory& memory, const Dictionary& dictionary, int64_t rows, int64_t k, int64_t k_chosen,
               Communicator& shards, int virtual_shards, int64_t exchange_rows = kExchangeRows);

  void pack(const Dictionary& dictionary, Stream& stream);

  // centred = x - b_dec where the architecture subtracts it, else x. May be in place.
  void center(const Dictionary& dictionary, Matrix<const float> x, Matrix<float> centred,
              Stream& stream) const;

  // Rows of `out` that are selected; what is put on the stream then runs beside the encoding of later rows.
  using RowsSelected = std::function<void(Share rows, Stream& stream)>;
  // Collective over the shards. The k largest of each row over all latents; `out` holds those of this slice.
  // On a device with several shards rows are worked off in blocks of exchange_rows, whose exchange runs
  // beside the encoding of the next; the result does not depend on it.
  void topk(
      Matrix<const float> centred, const Dictionary& dictionary, kernels::CodesView out, Stream& stream,
      const RowsSelected& selected = [](Share, Stream&) {});

  // Every activation of this slice above `threshold`, where they are ranked by decoder norms those that
  // exceed it times their norm; returns how many there are (see kernels::encode_above).
  [[nodiscard]] int64_t above(Matrix<const float> centred, const Dictionary& dictionary, float threshold,
                              kernels::CodesView out, Stream& stream);

  // Says among which latents of this slice (one bit each, see kernels::TopsBeside) the next topk_chosen() may
  // choose, so that topk() and above() keep the candidates for it; empty: none.
  void watch(Vector<const uint64_t> eligible);
  // Whether candidates are ever kept: not on a device.
  [[nodiscard]] bool can_watch() const { return watched_.can_watch(); }

  // Collective over the shards. The `k` largest of each row among the latents `chosen` [count] (local
  // numbers, ascending) of all slices; `chosen_per_shard` [shards] are the counts. Chooses among the
  // candidates that the last topk() or above() kept of the same rows, if those are watched latents and enough
  // for every row, and multiplies a second time otherwise: the result is the same. Returns whether it
  // multiplied.
  bool topk_chosen(Matrix<const float> centred, const Dictionary& dictionary, Vector<const int32_t> chosen,
                   std::span<const int64_t> chosen_per_shard, int64_t k, kernels::CodesView out,
                   Stream& stream);

  // What activations of this slice are ranked by: [local_latents] norms of their decoder rows as packed last,
  // or empty: themselves.
  [[nodiscard]] Vector<const float> selection_scale() const { return decoder_norms_.view(); }
  [[nodiscard]] int shard_count() const { return shards_->size(); }
  // Of the last topk().
  [[nodiscard]] int64_t second_round_rows() const { return second_round_rows_; }

 private:
  [[nodiscard]] kernels::EncodeArgs arguments(Matrix<const float> centred,
                                              const Dictionary& dictionary) const;
  void select_rows(kernels::CodesView candidates, const Dictionary& dictionary, Stream& stream);
  void multiply_chosen(Matrix<const float> centred, const Dictionary& dictionary,
                       Vector<const int32_t> chosen, int64_t k, kernels::CodesView out, Stream& stream);

  Communicator* shards_;
  bool screens_;                           // which of the two encoders is packed
  kernels::PackedWeights encoder_;         // of no latents where a screen is used
  kernels::ScreenedWeights screened_;      // of no latents where none is used
  kernels::PackedWeights chosen_encoder_;  // of AuxK where the watched candidates do not tell
  kernels::EncodeWorkspace workspace_;
  WatchedTops watched_;
  Tensor<float, 1> decoder_norms_;     // [local_latents] where acts are ranked by them, else [0]
  Tensor<float, 1> chosen_bias_;       // [local_latents]
  Tensor<int32_t, 1> chosen_numbers_;  // [local_latents] global numbers of the chosen latents
  std::vector<int64_t> latents_per_shard_;
  RowSelection selection_;
  ExchangePipeline pipeline_;
  int64_t second_round_rows_ = 0;
};

}  // namespace orthant::sae
