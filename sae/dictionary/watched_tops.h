// The largest activations of each row among watched latents, kept from the product of the main selection
// until it is known which of the watched latents count: the dead latents of AuxK, which are those that the
// same batch did not revive.
//
// On the CPU only, where a product costs more than looking through its tiles once more. On a device nothing
// is kept (kept() is 0) and the latents that count, which are few, are multiplied again.
//
// Local to a slice of the latents. Allocated at construction. Not thread-safe.
#pragma once

#include "kernels/encode/encode.h"
#include "runtime/core/share.h"

namespace orthant::sae {

class WatchedTops {
 public:
  // Candidates kept of a row for a choice of `k`: some more, since watched latents drop out.
  [[nodiscard]] static int64_t kept(int64_t k, int64_t local_latents, Device device = kCpu);

  WatchedTops(Memory& memory, int64_t rows, int64_t kept, Share slice);

  // Whether there is room for candidates.
  [[nodiscard]] bool can_watch() const { return values_.shape()[1] > 0; }
  // From the next encode on; empty: nothing is kept. Borrowed until the next call.
  void watch(Vector<const uint64_t> eligible);

  // Where an encode of `rows` rows puts the candidates; null where none are watched.
  [[nodiscard]] const kernels::TopsBeside* of_encode(int64_t rows);

  // The min(k, count) largest of each row among the latents `chosen` [count] (local numbers, ascending),
  // zeros of the lowest latents where fewer are positive: what kernels::encode_topk of these latents alone
  // gives. False, and `out` undefined, where the candidates of the last encode do not tell.
  [[nodiscard]] bool choose(Vector<const int32_t> chosen, int64_t k, kernels::CodesView out);

 private:
  [[nodiscard]] bool is_chosen(int32_t latent) const;
  [[nodiscard]] bool mark(Vector<const int32_t> chosen);
  [[nodiscard]] int64_t chosen_of_row(int64_t row, int64_t* keys) const;
  [[nodiscard]] bool tells(int64_t row, int64_t wanted) const;
  void emit(int64_t row, Vector<const int32_t> chosen, int64_t wanted, kernels::CodesView out);

  Share slice_;
  int64_t rows_ = 0;  // of the last encode that kept candidates
  bool watches_ = false;
  Tensor<int32_t, 1> counts_;        // [rows]
  Tensor<int32_t, 2> latents_;       // [rows, kept]
  Tensor<float, 2> values_;          // [rows, kept]
  Tensor<uint64_t, 1> chosen_bits_;  // [ceil(local_latents / 64)]
  Tensor<int64_t, 2> keys_;          // [threads, kept]
  kernels::TopsBeside tops_;
};

}  // namespace orthant::sae
