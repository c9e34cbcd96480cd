#include "kernels/latent_row.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/gather.h"

namespace orthant::kernels {
namespace {

constexpr double kSmallestNorm = 1e-30;
constexpr double kNormOffset = 1e-6;  // of dictionary_learning's projection
constexpr int64_t kEntriesAtATime = 256;

// Calls piece(first, count) for consecutive pieces of the entries of `latent`.
template <typename Piece>
void each_piece(const LatentOrderView& order, int64_t latent, Piece piece) {
  const int64_t last = order.offsets.data[latent + 1];
  for (int64_t first = order.offsets.data[latent]; first < last; first += kEntriesAtATime) {
    piece(first, std::min(kEntriesAtATime, last - first));
  }
}

// sum += over the entries of `latent` of weights[entry] * matrix[row of entry].
void add_weighted_rows(const LatentOrderView& order, int64_t latent, const float* entry_weights,
                       Matrix<const float> matrix, float* sum) {
  const GatherOps& ops = gather_ops();
  each_piece(order, latent, [&](int64_t first, int64_t count) {
    float weights[kEntriesAtATime];
    for (int64_t i = 0; i < count; ++i) weights[i] = entry_weights[order.entries.data[first + i]];
    ops.weighted_sum({.matrix = matrix.data,
                      .width = matrix.shape[1],
                      .rows = order.rows.data + first,
                      .first_row = 0,
                      .count = count},
                     weights, sum);
  });
}

double norm_of(const float* row, int64_t d_model) {
  return std::sqrt(static_cast<double>(vector_ops().squared_norm(row, d_model)));
}

}  // namespace

AdamFactors adam_factors(const AdamConstants& adam, float gradient_scale) {
  const double lr = adam.lr, beta1 = adam.beta1, beta2 = adam.beta2, step = static_cast<double>(adam.step);
  return {.gradient_scale = gradient_scale,
          .beta1 = adam.beta1,
          .one_minus_beta1 = static_cast<float>(1.0 - beta1),
          .beta2 = adam.beta2,
          .one_minus_beta2 = static_cast<float>(1.0 - beta2),
          .step_size = static_cast<float>(lr / (1.0 - std::pow(beta1, step))),
          .root_correction = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(beta2, step))),
          .epsilon = adam.epsilon,
          .decay = static_cast<float>(1.0 - lr * static_cast<double>(adam.weight_decay))};
}

void gather_gradients(const LatentStepArgs& args, int64_t latent, float* encoder, float* decoder) {
  const int64_t d_model = args.input.shape[1];
  if (encoder != nullptr) std::fill(encoder, encoder + d_model, 0.0f);
  if (decoder != nullptr) std::fill(decoder, decoder + d_model, 0.0f);
  for (int i = 0; i < args.path_count; ++i) {
    const CodePath& path = args.paths[i];
    if (encoder != nullptr) {
      add_weighted_rows(path.order, latent, path.value_gradients.data, args.input, encoder);
    }
    if (decoder != nullptr) {
      add_weighted_rows(path.order, latent, path.codes.values.data, path.output_gradient, decoder);
    }
  }
}

float bias_gradient(const LatentStepArgs& args, int64_t latent) {
  double sum = 0.0;
  for (int i = 0; i < args.path_count; ++i) {
    const LatentOrderView& order = args.paths[i].order;
    for (int64_t at = order.offsets.data[latent]; at < order.offsets.data[latent + 1]; ++at) {
      sum += static_cast<double>(args.paths[i].value_gradients.data[order.entries.data[at]]);
    }
  }
  return static_cast<float>(sum);
}

double inverse_norm_before_step(DecoderNorm norm, const float* row, int64_t d_model) {
  switch (norm) {
    case DecoderNorm::kFree:
      return 0.0;
    case DecoderNorm::kUnitBeforeStep:
      return 1.0 / std::max(norm_of(row, d_model), kSmallestNorm);
    case DecoderNorm::kUnitAfterStep:
      return 1.0 / (norm_of(row, d_model) + kNormOffset);
  }
  return 0.0;
}

void finish_decoder_gradient(const LatentStepArgs& args, int64_t latent, const float* row,
                             double inverse_norm, float* gradient) {
  const VectorOps& ops = vector_ops();
  const int64_t d_model = args.input.shape[1];
  if (args.decoder_penalty_gradient.data != nullptr) {
    ops.add(args.decoder_penalty_gradient.row(latent), gradient, d_model);
  }
  if (args.decoder_norm == DecoderNorm::kFree) return;
  const double along = static_cast<double>(ops.dot(gradient, row, d_model)) * inverse_norm;
  ops.axpy(static_cast<float>(-along * inverse_norm), row, gradient, d_model);
}

void step_decoder_row(DecoderNorm norm, const AdamFactors& factors, double inverse_norm,
                      const float* gradient, int64_t d_model, float* row, float* m, float* v) {
  const VectorOps& ops = vector_ops();
  if (norm == DecoderNorm::kUnitBeforeStep) ops.scale(static_cast<float>(inverse_norm), row, d_model);
  ops.adam_row(factors, gradient, row, m, v, d_model);
  if (norm != DecoderNorm::kUnitAfterStep) return;
  const double offset = static_cast<double>(std::numeric_limits<float>::epsilon());
  ops.scale(static_cast<float>(1.0 / (norm_of(row, d_model) + offset)), row, d_model);
}

}  // namespace orthant::kernels
