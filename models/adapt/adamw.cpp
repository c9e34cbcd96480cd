#include "models/adapt/adamw.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/isa/vector.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

double norm_of(AdamW::Tensors tensors) {
  double squares = 0.0;
  for (const std::span<float> tensor : tensors) {
    for (const float value : tensor) squares += static_cast<double>(value) * value;
  }
  return std::sqrt(squares);
}

}  // namespace

int64_t warm_up_steps(const AdamWSettings& settings, int64_t steps) {
  const double share = settings.warm_up * static_cast<double>(steps);
  return static_cast<int64_t>(settings.rounds_warm_up_up ? std::ceil(share) : share);
}

double scheduled_lr(const AdamWSettings& settings, int64_t step, int64_t steps) {
  const int64_t warm_up = warm_up_steps(settings, steps);
  if (step < warm_up) return settings.lr * static_cast<double>(step) / static_cast<double>(warm_up);
  return settings.lr * static_cast<double>(steps - step) / static_cast<double>(steps - warm_up);
}

void AdamW::step(Tensors parameters, Tensors gradients, double gradient_scale) {
  require(parameters.size() == gradients.size(), "every parameter has a gradient");
  if (first_.empty()) {
    for (const std::span<float> tensor : parameters) first_.emplace_back(tensor.size(), 0.0f);
    second_ = first_;
  }
  require(first_.size() == parameters.size(), "the parameters are those of every step");
  const double lr = scheduled_lr(settings_, taken_, steps_);
  ++taken_;
  // As clip_grad_norm_ of PyTorch.
  double scale = gradient_scale;
  if (settings_.clip_norm > 0.0) {
    const double norm = norm_of(gradients) * std::abs(gradient_scale);
    scale *= std::min(1.0, settings_.clip_norm / (norm + 1e-6));
  }
  const auto count = static_cast<double>(taken_);
  const kernels::AdamFactors factors{
      .gradient_scale = static_cast<float>(scale),
      .beta1 = static_cast<float>(settings_.beta1),
      .one_minus_beta1 = static_cast<float>(1.0 - settings_.beta1),
      .beta2 = static_cast<float>(settings_.beta2),
      .one_minus_beta2 = static_cast<float>(1.0 - settings_.beta2),
      .step_size = static_cast<float>(lr / (1.0 - std::pow(settings_.beta1, count))),
      .root_correction = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(settings_.beta2, count))),
      .epsilon = static_cast<float>(settings_.epsilon),
      .decay = static_cast<float>(1.0 - lr * settings_.weight_decay)};
  for (size_t i = 0; i < parameters.size(); ++i) {
    require(parameters[i].size() == gradients[i].size() && parameters[i].size() == first_[i].size(),
            "a gradient has the shape of its parameter");
    kernels::vector_ops().adam_row(factors, gradients[i].data(), parameters[i].data(), first_[i].data(),
                                   second_[i].data(), static_cast<int64_t>(parameters[i].size()));
  }
}

void AdamW::restore(State state) {
  first_ = std::move(state.first);
  second_ = std::move(state.second);
  taken_ = state.steps_taken;
}

}  // namespace orthant::models
