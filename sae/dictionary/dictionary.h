// A dictionary, whole or one slice of its latents: encoder and decoder rows, biases, inference threshold,
// scaling.
//
// Weights are latent-major: row i of encoder and decoder belong to latent slice.first + i. The decoder bias
// and the scalars are the same on every rank. Parameters are "as trained": they work on x * input_scale,
// or on whitened inputs, which export folds away. A crosscoder is a dictionary of activations that are joined
// from several sources: row i of encoder and decoder are then the rows of the sources one after the other.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/comm/communicator.h"
#include "runtime/core/share.h"
#include "runtime/device/tensor.h"
#include "sae/dictionary/conventions.h"
#include "sae/dictionary/whitening.h"

namespace orthant::sae {

struct Dictionary {
  Architecture architecture = Architecture::kBatchTopK;
  InputScaling input_scaling = InputScaling::kNone;
  bool subtract_decoder_bias = true;
  bool rescale_acts_by_decoder_norm = false;
  // How the encoder's product is computed here; the weights are f32 either way, and files do not keep it.
  kernels::Precision encoder_precision = kernels::Precision::kF32;
  int64_t k = 0;
  int64_t d_model = 0;  // of all sources together
  int64_t sources = 1;
  int64_t latents = 0;
  Share slice;  // the latents held here

  Tensor<float, 2> encoder;       // [local_latents, d_model]
  Tensor<float, 2> decoder;       // [local_latents, d_model]
  Tensor<float, 1> encoder_bias;  // [local_latents], zeros where the architecture has none
  Tensor<float, 1> decoder_bias;  // [d_model]
  Tensor<float, 1> thresholds;    // [local_latents] of jumprelu; else [0]

  bool has_encoder_bias = false;
  // Of batchtopk: activations above it fire at inference. Negative: never estimated.
  double threshold = -1.0;
  // The scalar of unit_mean_square and expected_average_only_in; 1 otherwise.
  double input_scale = 1.0;
  // The same of each of several sources, in place of it; else empty.
  std::vector<double> source_scales;
  Whitening whitening;  // of whiten; else of width 0

  [[nodiscard]] int64_t local_latents() const { return slice.count; }
  [[nodiscard]] int64_t source_width() const { return d_model / sources; }
  // What multiplies column `c` of the input.
  [[nodiscard]] double scale_of_column(int64_t c) const {
    return source_scales.empty() ? input_scale : source_scales[static_cast<size_t>(c / source_width())];
  }
};

// Uninitialised weights of `slice`; memory segments "weights" (and what else the caller allocates).
[[nodiscard]] Dictionary allocate_dictionary(const Conventions& conventions, int64_t d_model, Share slice,
                                             Memory& memory);

// A matrix of latents with the rows of each source by itself: [local_latents * sources, width of a source].
template <typename T>
[[nodiscard]] Matrix<T> rows_of_sources(Matrix<T> rows /* [local_latents, d_model] */, int64_t sources) {
  return {rows.data, {rows.shape[0] * sources, rows.shape[1] / sources}, rows.device};
}

// The same dictionary on another memory, in `segment`.
[[nodiscard]] Dictionary copy_of(const Dictionary& dictionary, Memory& memory, std::string_view segment);

// Fills encoder and decoder from (seed, global latent): the same for every slicing and device. Biases become
// zero. For a device a copy on the host is drawn.
void initialize_dictionary(Dictionary& dictionary, EncoderInit init, uint64_t seed);

// Divides every encoder and decoder row so that the dictionary works on unscaled activations: after it
// encode(x) equals what encode(input_scale * x), or that of whitened x, gave. Also folds decoder norms where
// rescale_acts_by_decoder_norm: then selection needs none. Per-row scalings stay.
void fold_scaling(Dictionary& dictionary);

// Collective over `dictionary_group`. SHA-256 of the float32 parameters as trained, latent-major: encoder
// rows, encoder biases, decoder rows, decoder bias. The hash state travels from shard to shard; the result is
// the same on every rank and at any world size.
[[nodiscard]] std::string weights_sha256(const Dictionary& dictionary, Communicator& dictionary_group,
                                         Stream& stream);

}  // namespace orthant::sae
