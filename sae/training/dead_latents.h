// How long each latent has not fired, in tokens of the whole job. Local to a slice; not thread-safe.
#pragma once

#include <cstdint>

#include "kernels/codes/codes.h"
#include "kernels/codes/dead_latents.h"
#include "runtime/core/share.h"
#include "runtime/device/tensor.h"

namespace orthant::sae {

class DeadLatents {
 public:
  DeadLatents(Memory& memory, Share slice, int64_t threshold_tokens);

  // Marks the latents that fire in `codes`; with `by_selection` also those selected at value 0.
  void mark(kernels::CodesView codes, bool by_selection, Stream& stream);
  // This step's marks [local_latents], 1 = fired: reduced over replicas by the caller where rows are split.
  [[nodiscard]] Vector<int32_t> marks() { return fired_.view(); }
  // Ends the step: marked latents start anew, the others grow older by `tokens`. Clears the marks.
  void advance(int64_t tokens, Stream& stream);
  // On the CPU only. Bit i % 64 of word i / 64: whether local latent i is dead after `tokens` more unless it
  // fires in them.
  [[nodiscard]] Vector<const uint64_t> dead_within(int64_t tokens);
  // Lists them anew: local numbers of the latents that have not fired for the threshold or longer, ascending.
  // Valid until the next call. The host waits for their number.
  [[nodiscard]] Vector<const int32_t> list_dead(Stream& stream);

  [[nodiscard]] Vector<int64_t> tokens_since_fired() { return tokens_.view(); }

 private:
  Share slice_;
  int64_t threshold_tokens_;
  Tensor<int64_t, 1> tokens_;   // [local_latents]
  Tensor<int32_t, 1> fired_;    // [local_latents]
  Tensor<int32_t, 1> list_;     // [local_latents]
  Tensor<int64_t, 1> scratch_;  // of the list
  Tensor<uint64_t, 1> bits_;    // [ceil(local_latents / 64)] on the CPU; else [0]
};

}  // namespace orthant::sae
