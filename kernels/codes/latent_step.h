// Backward and update by latent: each latent owns one encoder and one decoder row, whose gradients are
// accumulated, projected, clipped and applied by Adam in one pass. Where nothing is reduced over replicas no
// gradient tensor exists; where it is, the same row functions work from tensors and give the same bits. Not
// Collective.
#pragma once

#include <cstdint>
#include <variant>

#include "kernels/codes/codes.h"
#include "runtime/device/stream.h"

namespace orthant::kernels {

// Entries of the codes grouped by latent, rows ascending within a latent. Zero-valued entries are kept.
struct LatentOrderView {
  Vector<int64_t> offsets;  // [local_latents + 1]
  Vector<int32_t> rows;     // [entries]
  Vector<int64_t> entries;  // [entries] position in the codes
};

class LatentOrder {
 public:
  LatentOrder() = default;
  LatentOrder(Memory& memory, int64_t local_latents, int64_t capacity)
      : offsets_(memory, "codes", {local_latents + 1}),
        rows_(memory, "codes", {capacity}),
        entries_(memory, "codes", {capacity}) {}
  [[nodiscard]] LatentOrderView view() { return {offsets_.view(), rows_.view(), entries_.view()}; }

 private:
  Tensor<int64_t, 1> offsets_;
  Tensor<int32_t, 1> rows_;
  Tensor<int64_t, 1> entries_;
};

// Counting sort of the entries whose latent lies in [first_latent, first_latent + local_latents). On CUDA
// entries beyond the room of the order are counted in `offsets` and left out.
void sort_by_latent(CodesView codes, int64_t first_latent, LatentOrderView order, Stream& stream);

// One set of codes that flowed through the decoder, with the gradient of what it reconstructed.
struct CodePath {
  CodesView codes;
  LatentOrderView order;
  Vector<const float> value_gradients;  // [entries] gradient of each pre-activation, ReLU applied
  Matrix<const float> output_gradient;  // [rows, d_model] gradient of the reconstruction
};

enum class DecoderNorm {
  kFree,
  kUnitBeforeStep,  // row set to unit norm and parallel gradient removed before Adam (BatchTopK lineage)
  kUnitAfterStep,   // parallel gradient removed before Adam, row set to unit norm after it
                    // (dictionary_learning)
};

struct AdamConstants {
  float lr = 0.0f;
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float epsilon = 1e-8f;
  float weight_decay = 0.0f;  // decoupled: row *= 1 - lr * weight_decay before the update
  int64_t step = 1;           // 1-based, for bias correction; corrections are computed in f64
  uint64_t seed = 0;          // of the rounding of second moments in bf16
};

// Adam's second moment of rows [local_latents, d_model]: f32, or bf16, which is widened for the update and
// rounded at random where it is stored. The draw of an element is a function of seed, step, global latent,
// column and which of the two rows it is, and of nothing else.
using SecondMoment = std::variant<Matrix<float>, Matrix<uint16_t>>;

// The slice of the dictionary that is updated. Empty biases: the architecture has none. An empty encoder or
// decoder is frozen. Both second moments are stored alike.
struct LatentSlice {
  Matrix<float> encoder;  // [local_latents, d_model]
  Matrix<float> decoder;  // [local_latents, d_model]
  Vector<float> bias;     // [local_latents]
  Matrix<float> encoder_m;
  SecondMoment encoder_v;
  Matrix<float> decoder_m;
  SecondMoment decoder_v;
  Vector<float> bias_m, bias_v;
  int64_t first_latent = 0;  // global, of the first row
};

struct LatentStepArgs {
  Matrix<const float> input;        // [rows, d_model] the centred input of the encoder
  const CodePath* paths = nullptr;  // the main path, then the auxiliary one where there is one
  int path_count = 0;
  Matrix<const float> decoder_penalty_gradient =
      {};  // [local_latents, d_model] added to the decoder's; or empty
  DecoderNorm decoder_norm = DecoderNorm::kFree;
  float gradient_scale = 1.0f;  // of clipping
  AdamConstants adam;
};

// Gradients of the slice, projected as `decoder_norm` asks (paths only; the penalty is added). Added to the
// tensors when `accumulate`, else stored.
struct LatentGradients {
  Matrix<float> encoder;  // [local_latents, d_model]
  Matrix<float> decoder;  // [local_latents, d_model]
  Vector<float> bias;     // [local_latents]; may be empty
};

// Raw gradients of the paths (no penalty, no projection).
void accumulate_latent_gradients(const LatentStepArgs& args, bool accumulate, LatentGradients out,
                                 Stream& stream);

// Adds the penalty and projects the decoder gradient by the rows of `decoder`, which stay as they are: what
// clipping and gradient checks see.
void finish_latent_gradients(const LatentStepArgs& args, Matrix<const float> decoder,
                             LatentGradients gradients, Stream& stream);

// squared_norms[i] = squared norm of all finished gradients of latent i, without storing them.
void latent_gradient_norms(const LatentStepArgs& args, Matrix<const float> decoder, bool has_bias,
                           Vector<double> squared_norms, Stream& stream);

// The same of gradients that are stored: `gradients` of the latents of squared_norms, without a bias where
// that is empty.
void stored_gradient_norms(LatentGradients gradients, Vector<double> squared_norms, Stream& stream);

// bias_gradients[i] = sum over the entries of latent i of their value gradients, over all paths: the gradient
// of b_enc, and what b_dec receives through the encoder.
void latent_bias_gradients(const LatentStepArgs& args, Vector<float> bias_gradients, Stream& stream);

// The fused step: accumulate, add the penalty, project, scale, Adam, renormalise.
void latent_step(const LatentStepArgs& args, LatentSlice slice, Stream& stream);

// The same update from finished gradients.
void latent_step_from_gradients(const LatentStepArgs& args, LatentGradients gradients, LatentSlice slice,
                                Stream& stream);

// Adam on a plain vector (decoder bias).
void adam_vector(const AdamConstants& adam, float gradient_scale, Vector<const float> gradient,
                 Vector<float> parameter, Vector<float> m, Vector<float> v, Stream& stream);

// Rows divided by max(norm, 1e-30).
void normalize_rows(Matrix<float> matrix, Stream& stream);

}  // namespace orthant::kernels
