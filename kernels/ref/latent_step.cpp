#include "kernels/ref/latent_step.h"

#include <algorithm>
#include <cmath>

namespace orthant::kernels::ref {
namespace {

double norm_of_row(const double* row, int64_t d_model) {
  double squares = 0.0;
  for (int64_t c = 0; c < d_model; ++c) squares += row[c] * row[c];
  return std::sqrt(squares);
}

void divide_rows(std::vector<double>& rows, int64_t d_model, double smallest, double offset) {
  for (size_t first = 0; first < rows.size(); first += static_cast<size_t>(d_model)) {
    const double norm = std::max(norm_of_row(&rows[first], d_model) + offset, smallest);
    for (int64_t c = 0; c < d_model; ++c) rows[first + static_cast<size_t>(c)] /= norm;
  }
}

void add_path(const CodePath& path, Matrix<const float> input, int64_t first_latent, int64_t local_latents,
              LatentRows& gradients) {
  const int64_t d_model = input.shape[1];
  for (int64_t r = 0; r < path.codes.rows(); ++r) {
    for (int64_t e = path.codes.row_offsets.data[r]; e < path.codes.row_offsets.data[r + 1]; ++e) {
      const int64_t latent = path.codes.latents.data[e] - first_latent;
      if (latent < 0 || latent >= local_latents) continue;
      const double value = path.codes.values.data[e], value_gradient = path.value_gradients.data[e];
      gradients.bias[static_cast<size_t>(latent)] += value_gradient;
      for (int64_t c = 0; c < d_model; ++c) {
        const size_t at = static_cast<size_t>(latent * d_model + c);
        gradients.encoder[at] += value_gradient * static_cast<double>(input.row(r)[c]);
        gradients.decoder[at] += value * static_cast<double>(path.output_gradient.row(r)[c]);
      }
    }
  }
}

}  // namespace

LatentRows latent_gradients(const LatentStepArgs& args, int64_t first_latent, int64_t local_latents) {
  const size_t elements = static_cast<size_t>(local_latents * args.input.shape[1]);
  LatentRows gradients{std::vector<double>(elements, 0.0), std::vector<double>(elements, 0.0),
                       std::vector<double>(static_cast<size_t>(local_latents), 0.0)};
  for (int i = 0; i < args.path_count; ++i) {
    add_path(args.paths[i], args.input, first_latent, local_latents, gradients);
  }
  return gradients;
}

void finish_latent_gradients(const LatentStepArgs& args, const std::vector<double>& decoder,
                             LatentRows& gradients) {
  const int64_t d_model = args.input.shape[1];
  if (args.decoder_penalty_gradient.data != nullptr) {
    for (size_t i = 0; i < decoder.size(); ++i) {
      gradients.decoder[i] += static_cast<double>(args.decoder_penalty_gradient.data[i]);
    }
  }
  if (args.decoder_norm == DecoderNorm::kFree) return;
  std::vector<double> unit = decoder;
  divide_rows(unit, d_model, 1e-30, args.decoder_norm == DecoderNorm::kUnitAfterStep ? 1e-6 : 0.0);
  for (size_t first = 0; first < unit.size(); first += static_cast<size_t>(d_model)) {
    double along = 0.0;
    for (size_t i = first; i < first + static_cast<size_t>(d_model); ++i)
      along += gradients.decoder[i] * unit[i];
    for (size_t i = first; i < first + static_cast<size_t>(d_model); ++i)
      gradients.decoder[i] -= along * unit[i];
  }
}

void adam(const AdamConstants& constants, double gradient_scale, const std::vector<double>& gradient,
          std::vector<double>& parameter, std::vector<double>& m, std::vector<double>& v) {
  const double lr = constants.lr, beta1 = constants.beta1, beta2 = constants.beta2;
  const double correction1 = 1.0 - std::pow(beta1, static_cast<double>(constants.step));
  const double correction2 = 1.0 - std::pow(beta2, static_cast<double>(constants.step));
  for (size_t i = 0; i < parameter.size(); ++i) {
    const double g = gradient_scale * gradient[i];
    parameter[i] *= 1.0 - lr * static_cast<double>(constants.weight_decay);
    m[i] = beta1 * m[i] + (1.0 - beta1) * g;
    v[i] = beta2 * v[i] + (1.0 - beta2) * g * g;
    const double corrected_m = m[i] / correction1, corrected_v = v[i] / correction2;
    parameter[i] -= lr * corrected_m / (std::sqrt(corrected_v) + static_cast<double>(constants.epsilon));
  }
}

void latent_step(const LatentStepArgs& args, LatentRows gradients, LatentState& state) {
  const int64_t d_model = args.input.shape[1];
  LatentRows& p = state.parameters;
  finish_latent_gradients(args, p.decoder, gradients);
  if (args.decoder_norm == DecoderNorm::kUnitBeforeStep) divide_rows(p.decoder, d_model, 1e-30, 0.0);
  adam(args.adam, args.gradient_scale, gradients.encoder, p.encoder, state.m.encoder, state.v.encoder);
  adam(args.adam, args.gradient_scale, gradients.decoder, p.decoder, state.m.decoder, state.v.decoder);
  if (!p.bias.empty())
    adam(args.adam, args.gradient_scale, gradients.bias, p.bias, state.m.bias, state.v.bias);
  if (args.decoder_norm == DecoderNorm::kUnitAfterStep)
    divide_rows(p.decoder, d_model, 1e-30, 1.1920928955078125e-7);
}

}  // namespace orthant::kernels::ref
