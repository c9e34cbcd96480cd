#include "sae/dictionary/conventions.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

template <typename T, size_t N>
using Names = std::array<std::pair<T, std::string_view>, N>;

constexpr Names<Architecture, 4> kArchitectures = {{{Architecture::kTopK, "topk"},
                                                    {Architecture::kBatchTopK, "batchtopk"},
                                                    {Architecture::kStandard, "standard"},
                                                    {Architecture::kJumpRelu, "jumprelu"}}};
constexpr Names<InputScaling, 6> kScalings = {
    {{InputScaling::kNone, "none"},
     {InputScaling::kUnitMeanSquare, "unit_mean_square"},
     {InputScaling::kExpectedAverageOnlyIn, "expected_average_only_in"},
     {InputScaling::kConstantNormRescale, "constant_norm_rescale"},
     {InputScaling::kLayerNorm, "layer_norm"},
     {InputScaling::kWhiten, "whiten"}}};
constexpr Names<kernels::DecoderNorm, 3> kDecoderNorms = {
    {{kernels::DecoderNorm::kFree, "free"},
     {kernels::DecoderNorm::kUnitBeforeStep, "unit_before_step"},
     {kernels::DecoderNorm::kUnitAfterStep, "unit_after_step"}}};
constexpr Names<DecoderBiasInit, 3> kBiasInits = {{{DecoderBiasInit::kZero, "zero"},
                                                   {DecoderBiasInit::kMean, "mean"},
                                                   {DecoderBiasInit::kGeometricMedian, "geometric_median"}}};
constexpr Names<LossScale, 2> kLossScales = {
    {{LossScale::kMean, "mean"}, {LossScale::kSumOverCoordinates, "sum_over_coordinates"}}};

template <typename T, size_t N>
std::string_view find_name(const Names<T, N>& names, T value) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  return "?";
}

template <typename T, size_t N>
T find_value(const Names<T, N>& names, std::string_view field, std::string_view asked) {
  std::string known;
  for (const auto& [value, name] : names) {
    if (name == asked) return value;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", name);
  }
  throw Error(ExitCode::kConfig, {.problem = fmt::format("{} = '{}' is not supported", field, asked),
                                  .suggestion = fmt::format("Use one of {}.", known)});
}

Conventions batchtopk_lineage(Architecture architecture) {
  Conventions c;
  c.architecture = architecture;
  c.input_scaling = InputScaling::kUnitMeanSquare;
  c.dead_feature_threshold_tokens = 0;  // 20 batches, set once the batch is known
  c.weight_decay = 0.01;
  return c;
}

Conventions dictionary_learning(Architecture architecture) {
  Conventions c;
  c.architecture = architecture;
  c.encoder_bias = true;
  c.decoder_norm = kernels::DecoderNorm::kUnitAfterStep;
  c.encoder_init = EncoderInit::kUnitTransposed;
  c.decoder_bias_init = DecoderBiasInit::kGeometricMedian;
  c.loss_scale = LossScale::kSumOverCoordinates;
  c.auxk = 0;
  c.auxk_detach = true;
  c.auxk_normalized = true;
  c.dead_feature_threshold_tokens = 10'000'000;
  c.fired_by_selection = architecture == Architecture::kTopK;
  c.threshold_rule =
      architecture == Architecture::kTopK ? ThresholdRule::kEmaOfRowMeans : ThresholdRule::kEmaFromFirst;
  c.threshold_beta = 0.999;
  c.threshold_start_step = 1000;
  c.adam_beta2 = 0.999;
  c.max_grad_norm = 1.0;
  c.lr_warm_up_steps = 1000;
  return c;
}

Conventions saelens(Architecture architecture) {
  Conventions c;
  c.architecture = architecture;
  c.encoder_bias = true;
  c.decoder_norm = kernels::DecoderNorm::kFree;
  c.encoder_init = EncoderInit::kShortTransposed;
  c.loss_scale = LossScale::kSumOverCoordinates;
  c.rescale_acts_by_decoder_norm = architecture == Architecture::kTopK;
  c.auxk = 0;
  c.auxk_alpha = architecture == Architecture::kTopK ? 1.0 : 0.0;
  c.auxk_detach = true;
  c.dead_feature_threshold_tokens = 0;  // 1000 steps, set once the batch is known
  c.l1_coefficient = architecture == Architecture::kStandard ? 1.0 : 0.0;
  c.l1_times_decoder_norm = true;
  c.lr = 3e-4;
  c.adam_beta2 = 0.999;
  c.max_grad_norm = 1.0;
  return c;
}

Conventions crosscoder(Architecture architecture) {
  Conventions c;
  c.architecture = architecture;
  c.input_scaling = InputScaling::kUnitMeanSquare;
  c.encoder_bias = true;
  c.subtract_decoder_bias = false;
  c.rescale_acts_by_decoder_norm = architecture == Architecture::kBatchTopK;
  c.decoder_norm = kernels::DecoderNorm::kFree;
  c.encoder_init = EncoderInit::kShortTransposed;
  c.loss_scale = LossScale::kSumOverCoordinates;
  c.auxk = 0;
  c.auxk_detach = true;
  c.auxk_normalized = true;
  c.dead_feature_threshold_tokens = 0;  // 20 batches, set once the batch is known
  c.l1_coefficient = architecture == Architecture::kStandard ? 2.0 : 0.0;
  c.l1_times_decoder_norm = true;
  c.lr = 1e-4;
  c.adam_beta2 = 0.999;
  c.max_grad_norm = 1.0;
  return c;
}

Conventions preset_named(std::string_view name) {
  if (name == "ortsae") {
    Conventions c = batchtopk_lineage(Architecture::kBatchTopK);
    c.orthogonality_coefficient = 0.25;
    return c;
  }
  if (name == "batchtopk") return batchtopk_lineage(Architecture::kBatchTopK);
  if (name == "topk") return batchtopk_lineage(Architecture::kTopK);
  if (name == "dl_topk") return dictionary_learning(Architecture::kTopK);
  if (name == "dl_batchtopk") return dictionary_learning(Architecture::kBatchTopK);
  if (name == "saelens_topk") return saelens(Architecture::kTopK);
  if (name == "standard") return saelens(Architecture::kStandard);
  if (name == "crosscoder_batchtopk") return crosscoder(Architecture::kBatchTopK);
  if (name == "crosscoder_l1") return crosscoder(Architecture::kStandard);
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("sae.preset = '{}' is unknown", name),
               .suggestion = "Use ortsae, batchtopk, topk, dl_topk, dl_batchtopk, saelens_topk, standard, "
                             "crosscoder_batchtopk or crosscoder_l1."});
}

int64_t default_dead_threshold(std::string_view preset, int64_t batch_tokens) {
  return (preset == "saelens_topk" || preset == "standard" ? 1000 : 20) * batch_tokens;
}

void override_sae(const Sae& sae, Conventions& c) {
  if (sae.has_architecture()) c.architecture = architecture_from_name(sae.architecture());
  if (sae.has_normalize_activations()) c.input_scaling = input_scaling_from_name(sae.normalize_activations());
  if (sae.orthogonality().has_coefficient()) c.orthogonality_coefficient = sae.orthogonality().coefficient();
  c.orthogonality_chunk = sae.orthogonality().chunk();
  c.orthogonality_period = sae.orthogonality().period();
  if (sae.has_auxk_alpha()) c.auxk_alpha = sae.auxk_alpha();
  if (sae.has_auxk()) {
    c.auxk = sae.auxk();
    if (sae.auxk() == 0) c.auxk_alpha = 0.0;
  }
  if (sae.has_dead_feature_threshold()) c.dead_feature_threshold_tokens = sae.dead_feature_threshold();
  if (sae.has_l1_coefficient()) c.l1_coefficient = sae.l1_coefficient();
  if (sae.has_decoder_norm()) {
    c.decoder_norm = find_value(kDecoderNorms, "sae.decoder_norm", sae.decoder_norm());
  }
  if (sae.has_encoder_bias()) c.encoder_bias = sae.encoder_bias();
  if (sae.has_subtract_decoder_bias()) c.subtract_decoder_bias = sae.subtract_decoder_bias();
  if (sae.has_decoder_bias_init()) {
    c.decoder_bias_init = find_value(kBiasInits, "sae.decoder_bias_init", sae.decoder_bias_init());
  }
  if (sae.has_threshold_beta()) c.threshold_beta = sae.threshold_beta();
  if (sae.has_threshold_start_step()) c.threshold_start_step = sae.threshold_start_step();
  if (sae.has_loss_scale()) c.loss_scale = find_value(kLossScales, "sae.loss_scale", sae.loss_scale());
  if (sae.has_auxk_detach()) c.auxk_detach = sae.auxk_detach();
  if (sae.has_auxk_normalized()) c.auxk_normalized = sae.auxk_normalized();
  if (sae.has_rescale_acts_by_decoder_norm()) {
    c.rescale_acts_by_decoder_norm = sae.rescale_acts_by_decoder_norm();
  }
  if (sae.has_fired_by_selection()) c.fired_by_selection = sae.fired_by_selection();
}

void override_train(const Train& train, Conventions& c) {
  if (train.has_lr()) c.lr = train.lr();
  if (train.has_adam_beta1()) c.adam_beta1 = train.adam_beta1();
  if (train.has_adam_beta2()) c.adam_beta2 = train.adam_beta2();
  if (train.has_adam_epsilon()) c.adam_epsilon = train.adam_epsilon();
  if (train.has_weight_decay()) c.weight_decay = train.weight_decay();
  if (train.has_max_grad_norm()) c.max_grad_norm = train.max_grad_norm();
  if (train.has_lr_warm_up_steps()) c.lr_warm_up_steps = train.lr_warm_up_steps();
  if (train.has_lr_decay_start()) c.lr_decay_start = train.lr_decay_start();
  c.second_moment = dtype_from_name(train.second_moment());
}

}  // namespace

std::string_view name_of(Architecture architecture) {
  return find_name(kArchitectures, architecture);
}
std::string_view name_of(InputScaling scaling) {
  return find_name(kScalings, scaling);
}

Architecture architecture_from_name(std::string_view name) {
  return find_value(kArchitectures, "sae.architecture", name);
}

InputScaling input_scaling_from_name(std::string_view name) {
  return find_value(kScalings, "sae.normalize_activations", name);
}

Conventions resolve_conventions(const Sae& sae, const Train& train) {
  Conventions c = preset_named(sae.preset());
  c.latents = sae.latents();
  c.k = sae.k();
  if (sae.preset().starts_with("dl_")) {
    c.lr = 2e-4 / std::sqrt(static_cast<double>(c.latents) / 16384.0);
  }
  override_sae(sae, c);
  override_train(train, c);
  if (c.dead_feature_threshold_tokens == 0) {
    c.dead_feature_threshold_tokens = default_dead_threshold(sae.preset(), train.batch_tokens());
  }
  if (c.k < 1 || c.k > c.latents) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("sae.k = {} cannot be used with sae.latents = {}", c.k, c.latents),
                 .why = "a row cannot have more active latents than there are",
                 .suggestion = fmt::format("Choose sae.k between 1 and {}.", c.latents)});
  }
  if (c.architecture == Architecture::kJumpRelu) {
    throw Error(ExitCode::kConfig, {.problem = "sae.architecture = 'jumprelu' cannot be trained",
                                    .why = "it is read from other projects and used for inference only",
                                    .suggestion = "Train batchtopk, whose export is a jumprelu."});
  }
  return c;
}

}  // namespace orthant::sae
