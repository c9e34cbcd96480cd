// Adam on one slice of a dictionary, in the two ways that replicas agree. Clipping by the global norm is
// right when sharded: the norm is summed over all shards before anything is scaled.
//
// Owns the moments (of the latents this rank updates) and, where gradients travel, the gradient tensors.
// update() is Collective over the world; not thread-safe.
#pragma once

#include <vector>

#include "kernels/codes/latent_step.h"
#include "runtime/device/host_copy.h"
#include "runtime/job/checkpointable.h"
#include "sae/dictionary/dictionary.h"
#include "sae/dictionary/reconstruction.h"
#include "sae/training/data_parallel.h"

namespace orthant::sae {

// Adam's second moment of the rows this rank updates [owned latents, d_model]; the other tensor has no rows.
struct SecondMoment {
  SecondMoment() = default;
  // Zeros, in f32 or bf16.
  SecondMoment(Memory& memory, Dtype stored, int64_t latents, int64_t d_model);
  [[nodiscard]] kernels::SecondMoment view();
  [[nodiscard]] void* data() { return dtype == Dtype::kBF16 ? static_cast<void*>(bf16.data()) : f32.data(); }
  Dtype dtype = Dtype::kF32;
  Tensor<float, 2> f32;
  Tensor<uint16_t, 2> bf16;
};

class LatentOptimizer {
 public:
  // With `updates` false there are no moments, and update() only finds the norm: for codes that travel.
  LatentOptimizer(Memory& memory, const Dictionary& dictionary, const Conventions& conventions,
                  DataParallel way, bool keeps_gradients, bool updates, Communicator& replicas,
                  ShardSum& shards);

  // Updates the latents from the paths of `args` (whole batch where codes travel, this replica's rows else)
  // and the decoder bias from its gradient of the whole batch. Returns the norm that clipping saw; 0 without
  // clipping, unless nothing is updated.
  double update(kernels::LatentStepArgs args, Vector<const float> decoder_bias_gradient,
                Dictionary& dictionary, Stream& stream);

  // For batches that are worked off in blocks: adds the gradients of the paths of `args` to the tensors.
  void accumulate(const kernels::LatentStepArgs& args, bool first, Stream& stream);
  // The update from what was accumulated.
  double update_accumulated(kernels::LatentStepArgs args, Vector<const float> decoder_bias_gradient,
                            Dictionary& dictionary, Stream& stream);

  // Local. The moments, by global latent.
  [[nodiscard]] std::vector<TensorSlice> state(const Dictionary& dictionary, bool writes_replicated);

 private:
  [[nodiscard]] double clip(double latent_squares, Vector<const float> decoder_bias_gradient,
                            kernels::LatentStepArgs& args, Stream& stream);
  [[nodiscard]] kernels::LatentSlice owned(Dictionary& dictionary);
  [[nodiscard]] kernels::LatentGradients gradients();

  bool has_bias_;
  bool updates_;
  kernels::DecoderNorm decoder_norm_;
  double max_grad_norm_;
  DataParallel way_;
  Communicator* replicas_;
  ShardSum* shards_;
  int64_t padded_;                                    // latents a replica owns, padded to the same number
  Share owned_;                                       // within the slice
  std::vector<int64_t> owned_rows_, owned_elements_;  // [replicas] latents each owns, and elements of them
  Tensor<float, 2> encoder_m_, decoder_m_;            // [owned latents, d_model]
  SecondMoment encoder_v_, decoder_v_;                // the same
  Tensor<float, 1> bias_m_, bias_v_;                  // [owned latents]
  Tensor<float, 1> decoder_bias_m_, decoder_bias_v_;  // [d_model]
  Tensor<float, 2> encoder_gradient_, decoder_gradient_;  // [replicas * padded, d_model] or [0, ...]
  Tensor<float, 1> bias_gradient_;                        // [replicas * padded] or [0]
  Tensor<double, 1> squared_norms_;                       // [local_latents] 0 of latents that others own
  HostCopy bias_gradient_on_host_;                        // of the decoder bias
};

}  // namespace orthant::sae
