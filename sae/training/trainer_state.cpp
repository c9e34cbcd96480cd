// Where a trainer's parameters come from and what a checkpoint keeps of it.

#include <fmt/format.h>

#include <algorithm>

#include "runtime/core/error.h"
#include "sae/training/initialization.h"
#include "sae/training/trainer.h"

namespace orthant::sae {
namespace {

// Rows of the presample that fixes the input scale or the whitening.
constexpr int64_t kPresampleRows = 32768;
// What is kept in the tensor "scalars", before the scales of several sources.
enum Scalar { kThreshold, kInputScale, kStep, kScalars };

// A dictionary on the host that has no latents and scales its input as this one does.
Dictionary scaling_of(const Dictionary& dictionary, Memory& memory) {
  Dictionary scaling;
  scaling.d_model = dictionary.d_model;
  scaling.input_scaling = dictionary.input_scaling;
  scaling.sources = dictionary.sources;
  scaling.input_scale = dictionary.input_scale;
  scaling.source_scales = dictionary.source_scales;
  scaling.whitening = Whitening(memory, "initialization", dictionary.whitening.d_model());
  copy_whitening(dictionary.whitening, scaling.whitening);
  return scaling;
}

void take_scales(Dictionary& dictionary, std::vector<double> scales) {
  if (dictionary.sources == 1) {
    dictionary.input_scale = scales[0];
  } else {
    dictionary.source_scales = std::move(scales);
  }
}

}  // namespace

void Trainer::initialize(ActivationSource& source) {
  const Conventions& c = config_.conventions;
  initialize_dictionary(dictionary_, c.encoder_init, config_.seed);
  if (c.threshold_rule == ThresholdRule::kEmaFromZero) dictionary_.threshold = 0.0;
  if (c.input_scaling == InputScaling::kUnitMeanSquare ||
      c.input_scaling == InputScaling::kExpectedAverageOnlyIn) {
    take_scales(dictionary_,
                input_scales_of(c.input_scaling, presample(source, kPresampleRows, c.sources, *world_->data),
                                dictionary_.source_width()));
  }
  if (c.input_scaling == InputScaling::kWhiten) {
    Memory memory;
    Whitening found(memory, "initialization", d_model_);
    find_whitening(source, kPresampleRows, *world_->data, found);
    copy_whitening(found, dictionary_.whitening);
  }
  scaler_.prepare(stream_);
  if (c.decoder_bias_init == DecoderBiasInit::kZero) return;
  // Every rank reads the whole first batch once, on the host, so that all get the same bits.
  Memory memory;
  Stream stream;
  Tensor<float, 2> first(memory, "initialization", {config_.batch_tokens, d_model_});
  source.read(Split::kTrain, 0, first.view(), nullptr);
  const Dictionary scaling = scaling_of(dictionary_, memory);
  InputScaler scaler(memory, "initialization", scaling, config_.batch_tokens);
  scaler.prepare(stream);
  scaler.scale(first.view(), stream);
  const std::vector<double> point =
      c.decoder_bias_init == DecoderBiasInit::kMean ? mean_row(first.view()) : geometric_median(first.view());
  const std::vector<float> bias(point.begin(), point.end());
  const Vector<float> into = dictionary_.decoder_bias.view();
  copy_bytes(into.data, into.device, bias.data(), kCpu, into.bytes());
}

void Trainer::initialize_from(const Dictionary& start) {
  if (start.latents != dictionary_.latents || start.d_model != d_model_) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("the dictionary of --init has {} latents of width {}", start.latents,
                                        start.d_model),
                 .why = fmt::format("{} of width {} are configured", dictionary_.latents, d_model_),
                 .suggestion = "Set sae.latents to match, or train on activations of that width."});
  }
  if (start.sources != dictionary_.sources) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("the dictionary of --init is of {} sources", start.sources),
                 .why = fmt::format("activations of {} are configured", dictionary_.sources),
                 .suggestion = "Give as many --source.store as it was trained on."});
  }
  if (start.whitening.d_model() != dictionary_.whitening.d_model()) {
    throw Error(
        ExitCode::kConfig,
        {.problem = fmt::format("the dictionary of --init has sae.normalize_activations = {}",
                                name_of(start.input_scaling)),
         .why = fmt::format("{} is configured, and whitened weights mean nothing without their whitening",
                            name_of(dictionary_.input_scaling)),
         .suggestion = "Set sae.normalize_activations to match."});
  }
  const int64_t first = dictionary_.slice.first - start.slice.first;
  const auto take = [&](auto& into, const auto& from) {
    const auto part = from.view().rows(first, dictionary_.slice.count);
    copy_bytes(into.data(), into.view().device, part.data, part.device, part.bytes());
  };
  take(dictionary_.encoder, start.encoder);
  take(dictionary_.decoder, start.decoder);
  take(dictionary_.encoder_bias, start.encoder_bias);
  const Vector<const float> bias = start.decoder_bias.view();
  const Vector<float> own_bias = dictionary_.decoder_bias.view();
  copy_bytes(own_bias.data, own_bias.device, bias.data, bias.device, bias.bytes());
  dictionary_.threshold = start.threshold;
  dictionary_.input_scale = start.input_scale;
  dictionary_.source_scales = start.source_scales;
  copy_whitening(start.whitening, dictionary_.whitening);
  scaler_.prepare(stream_);
}

std::vector<TensorSlice> Trainer::state() {
  wait();
  scalars_.resize(kScalars + dictionary_.source_scales.size());
  scalars_[kThreshold] = dictionary_.threshold;
  scalars_[kInputScale] = dictionary_.input_scale;
  scalars_[kStep] = static_cast<double>(steps_done_);
  std::copy(dictionary_.source_scales.begin(), dictionary_.source_scales.end(), scalars_.begin() + kScalars);
  const bool first_replica = grid_->data->rank() == 0;
  const bool first_rank = world_->rank() == 0;
  const Device device = dictionary_.encoder.view().device;
  const auto latents = [&](const char* name, void* data, Dtype dtype, std::vector<int64_t> shape) {
    return TensorSlice{.name = name,
                       .dtype = dtype,
                       .shape = std::move(shape),
                       .first_row = dictionary_.slice.first,
                       .rows = dictionary_.slice.count,
                       .data = data,
                       .device = device,
                       .writes = first_replica};
  };
  const auto replicated = [&](const char* name, void* data, std::vector<int64_t> shape) {
    const int64_t rows = shape[0];
    return TensorSlice{.name = name,
                       .shape = std::move(shape),
                       .rows = rows,
                       .data = data,
                       .device = device,
                       .writes = first_rank};
  };
  std::vector<TensorSlice> slices = {
      latents("encoder", dictionary_.encoder.data(), Dtype::kF32, {dictionary_.latents, d_model_}),
      latents("decoder", dictionary_.decoder.data(), Dtype::kF32, {dictionary_.latents, d_model_}),
      latents("encoder_bias", dictionary_.encoder_bias.data(), Dtype::kF32, {dictionary_.latents}),
      latents("tokens_since_fired", dead_.tokens_since_fired().data, Dtype::kI64, {dictionary_.latents}),
      replicated("decoder_bias", dictionary_.decoder_bias.data(), {d_model_}),
      {.name = "scalars",
       .dtype = Dtype::kF64,
       .shape = {static_cast<int64_t>(scalars_.size())},
       .rows = static_cast<int64_t>(scalars_.size()),
       .data = scalars_.data(),
       .writes = first_rank}};
  if (Whitening& whitening = dictionary_.whitening; whitening.d_model() > 0) {
    slices.push_back(replicated("whitening.mean", whitening.mean.data(), {d_model_}));
    slices.push_back(replicated("whitening.axes", whitening.axes.data(), {d_model_, d_model_}));
    slices.push_back(replicated("whitening.spread", whitening.spread.data(), {d_model_}));
  }
  for (TensorSlice& slice : optimizer_.state(dictionary_, first_rank)) slices.push_back(std::move(slice));
  return slices;
}

void Trainer::after_load() {
  dictionary_.threshold = scalars_[kThreshold];
  dictionary_.input_scale = scalars_[kInputScale];
  std::copy(scalars_.begin() + kScalars, scalars_.end(), dictionary_.source_scales.begin());
  steps_done_ = static_cast<int64_t>(scalars_[kStep]);
  scaler_.prepare(stream_);
}

}  // namespace orthant::sae
