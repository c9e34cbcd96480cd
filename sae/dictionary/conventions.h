// The conventions of a dictionary and of its training: everything that two lineages do differently, resolved
// from a preset and the fields that override it.
//
// Presets (spec: sections 1, 4, 5 and 8 of the architectures): `ortsae`, `batchtopk`, `topk` follow the
// BatchTopK lineage (no encoder bias, mean squared error over batch and coordinates, unit decoder rows with
// the parallel gradient removed, AdamW 2e-4); `dl_topk`, `dl_batchtopk` follow dictionary_learning;
// `saelens_topk` and `standard` follow SAELens; `crosscoder_batchtopk` and `crosscoder_l1` are for
// activations of several sources joined row by row (Lindsey et al. 2024, "Sparse Crosscoders"; Minder et al.,
// arXiv 2504.02922): what weighs an activation is the sum over sources of the norms of its decoder rows.
// Immutable values; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/codes/latent_step.h"
#include "kernels/dense/precision.h"
#include "runtime/core/dtype.h"
#include "sae/config.pb.h"

namespace orthant::sae {

enum class Architecture {
  kTopK,       // k largest of a row
  kBatchTopK,  // k * rows largest of a batch; above one threshold at inference
  kStandard,   // every positive activation
  kJumpRelu,   // above one threshold a latent; loaded, not trained
};

enum class InputScaling {
  kNone,
  kUnitMeanSquare,         // one scalar for each source: mean over rows and coordinates of x^2 becomes 1
  kExpectedAverageOnlyIn,  // one scalar for each source: mean norm becomes sqrt(d_model)
  kConstantNormRescale,    // each row to norm sqrt(d_model), undone on the output
  kLayerNorm,              // each row to mean 0 and standard deviation 1, undone on the output
  kWhiten,                 // coordinates along the principal axes, of variance 1 each, undone on the output
};

enum class LossScale { kMean, kSumOverCoordinates };
enum class DecoderBiasInit { kZero, kMean, kGeometricMedian };
enum class EncoderInit {
  kKaimingLineage,   // U(+-sqrt(6 / latents)), decoder = its unit rows
  kUnitTransposed,   // decoder rows random and of unit norm, encoder equal to them
  kShortTransposed,  // kaiming rows of norm 0.1, encoder equal to them
};
// How the running threshold of inference is formed.
enum class ThresholdRule {
  kEmaFromZero,    // beta * t + (1 - beta) * smallest of the batch, from 0
  kEmaFromFirst,   // the first smallest, then the same
  kEmaOfRowMeans,  // from the mean over rows of each row's smallest positive
};

struct Conventions {
  Architecture architecture = Architecture::kBatchTopK;
  int64_t latents = 0;
  int64_t k = 0;
  int64_t sources = 1;  // parts of equal width that a row of activations is joined from
  InputScaling input_scaling = InputScaling::kNone;
  kernels::Precision encoder_precision = kernels::Precision::kF32;  // of the encoder's product
  bool encoder_bias = false;
  bool subtract_decoder_bias = true;
  bool rescale_acts_by_decoder_norm = false;  // select by them; of sources, by the sum of their norms
  kernels::DecoderNorm decoder_norm = kernels::DecoderNorm::kUnitBeforeStep;
  EncoderInit encoder_init = EncoderInit::kKaimingLineage;
  DecoderBiasInit decoder_bias_init = DecoderBiasInit::kZero;
  LossScale loss_scale = LossScale::kMean;

  double orthogonality_coefficient = 0.0;
  int64_t orthogonality_chunk = 8192;
  int32_t orthogonality_period = 1;

  double auxk_alpha = 1.0 / 32.0;
  int64_t auxk = 512;  // 0: d_model / 2
  bool auxk_detach = false;
  bool auxk_normalized = false;
  int64_t dead_feature_threshold_tokens = 0;
  bool fired_by_selection = false;

  double l1_coefficient = 0.0;
  bool l1_times_decoder_norm = false;  // of sources, the sum of their norms

  ThresholdRule threshold_rule = ThresholdRule::kEmaFromZero;
  double threshold_beta = 0.99;
  int64_t threshold_start_step = 0;

  double lr = 2e-4;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.99;
  double adam_epsilon = 1e-8;
  double weight_decay = 0.0;
  double max_grad_norm = 0.0;
  Dtype second_moment = Dtype::kF32;  // of encoder and decoder rows: f32 or bf16
  int64_t lr_warm_up_steps = 0;
  double lr_decay_start = 1.0;
};

[[nodiscard]] std::string_view name_of(
    Architecture architecture);                                // "topk", "batchtopk", "standard", "jumprelu"
[[nodiscard]] std::string_view name_of(InputScaling scaling);  // "none", "unit_mean_square", ...
[[nodiscard]] Architecture architecture_from_name(std::string_view name);
[[nodiscard]] InputScaling input_scaling_from_name(std::string_view name);

// Throws Error(kConfig) for impossible combinations: k > latents, k < 1, ...
[[nodiscard]] Conventions resolve_conventions(const Sae& sae, const Train& train);

}  // namespace orthant::sae
