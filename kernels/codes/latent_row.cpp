#include "kernels/codes/latent_row.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/isa/gather.h"
#include "kernels/scalar.h"

namespace orthant::kernels {
namespace {

constexpr double kSmallestNorm = 1e-30;
constexpr double kNormOffset = 1e-6;  // of dictionary_learning's projection
constexpr int64_t kEntriesAtATime = 256;

// The rows of `matrix` that the entries of `latent` name; none past the last latent.
GatheredRows rows_of(const LatentOrderView& order, int64_t latent, Matrix<const float> matrix) {
  GatheredRows rows{.matrix = matrix.data, .width = matrix.shape[1]};
  if (latent + 1 >= order.offsets.shape[0]) return rows;
  rows.rows = order.rows.data + order.offsets.data[latent];
  rows.count = order.offsets.data[latent + 1] - order.offsets.data[latent];
  return rows;
}

// sum += over the entries of `latent` of weights[entry] * matrix[row of entry]; `following` is gathered next.
void add_weighted_rows(const LatentOrderView& order, int64_t latent, const float* entry_weights,
                       Matrix<const float> matrix, const GatheredRows& following, float* sum) {
  const GatherOps& ops = gather_ops();
  GatheredRows rest = rows_of(order, latent, matrix);
  const int64_t* entries = order.entries.data + order.offsets.data[latent];
  while (rest.count > 0) {
    GatheredRows piece = rest;
    piece.count = std::min(kEntriesAtATime, rest.count);
    rest.rows += piece.count;
    rest.count -= piece.count;
    piece.following = rest.count > 0 ? &rest : &following;
    float weights[kEntriesAtATime];
    for (int64_t i = 0; i < piece.count; ++i) weights[i] = entry_weights[entries[i]];
    entries += piece.count;
    ops.weighted_sum(piece, weights, sum);
  }
}

double norm_of(const float* row, int64_t d_model) {
  return std::sqrt(static_cast<double>(vector_ops().squared_norm(row, d_model)));
}

AdamRow adam_row(Matrix<float> parameters, Matrix<float> m, const SecondMoment& v, int64_t at,
                 const AdamConstants& adam, Purpose purpose, int64_t latent) {
  AdamRow row{.parameter = parameters.row(at), .m = m.row(at)};
  if (const auto* in_bf16 = std::get_if<Matrix<uint16_t>>(&v); in_bf16 != nullptr) {
    row.v_in_bf16 = in_bf16->row(at);
    row.key = rounding_key(adam.seed, purpose, adam.step, latent);
  } else {
    row.v = std::get<Matrix<float>>(v).row(at);
  }
  return row;
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
    const GatheredRows inputs = rows_of(path.order, latent + 1, args.input);
    const GatheredRows gradients =
        rows_of(path.order, encoder == nullptr ? latent + 1 : latent, path.output_gradient);
    if (encoder != nullptr) {
      const GatheredRows& following = decoder == nullptr ? inputs : gradients;
      add_weighted_rows(path.order, latent, path.value_gradients.data, args.input, following, encoder);
    }
    if (decoder != nullptr) {
      const GatheredRows& following = encoder == nullptr ? gradients : inputs;
      add_weighted_rows(path.order, latent, path.codes.values.data, path.output_gradient, following, decoder);
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

AdamRow encoder_row(const LatentSlice& slice, const AdamConstants& adam, int64_t latent) {
  return adam_row(slice.encoder, slice.encoder_m, slice.encoder_v, latent, adam,
                  Purpose::kEncoderMomentRounding, slice.first_latent + latent);
}

AdamRow decoder_row(const LatentSlice& slice, const AdamConstants& adam, int64_t latent) {
  return adam_row(slice.decoder, slice.decoder_m, slice.decoder_v, latent, adam,
                  Purpose::kDecoderMomentRounding, slice.first_latent + latent);
}

void step_row(const AdamFactors& factors, const float* gradient, int64_t d_model, const AdamRow& row) {
  const VectorOps& ops = vector_ops();
  if (row.v_in_bf16 == nullptr) {
    return ops.adam_row(factors, gradient, row.parameter, row.m, row.v, d_model);
  }
  ops.adam_row_bf16(factors, row.key, gradient, row.parameter, row.m, row.v_in_bf16, d_model);
}

void step_decoder_row(DecoderNorm norm, const AdamFactors& factors, double inverse_norm,
                      const float* gradient, int64_t d_model, const AdamRow& row) {
  const VectorOps& ops = vector_ops();
  if (norm == DecoderNorm::kUnitBeforeStep) {
    ops.scale(static_cast<float>(inverse_norm), row.parameter, d_model);
  }
  step_row(factors, gradient, d_model, row);
  if (norm != DecoderNorm::kUnitAfterStep) return;
  const double offset = static_cast<double>(std::numeric_limits<float>::epsilon());
  ops.scale(static_cast<float>(1.0 / (norm_of(row.parameter, d_model) + offset)), row.parameter, d_model);
}

}  // namespace orthant::kernels
