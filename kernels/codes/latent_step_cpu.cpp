#include "kernels/codes/latent_step_cpu.h"

#include <algorithm>
#include <cmath>

#include "kernels/codes/latent_row.h"

namespace orthant::kernels::cpu {
namespace {

constexpr int64_t kLatentsAtATime = 32;  // handed to a thread: latents differ in their number of entries
constexpr int64_t kElementsAtATime = 4096;
constexpr double kSmallestNorm = 1e-30;

struct GradientRows {
  alignas(64) float encoder[kWidestRow];
  alignas(64) float decoder[kWidestRow];
};

template <typename T>
void prefetch_row(Matrix<T> matrix, int64_t row) {
  constexpr int64_t kPerLine = 64 / sizeof(T);
  if (row >= matrix.shape[0]) return;
  const T* data = matrix.row(row);
  for (int64_t c = 0; c < matrix.shape[1]; c += kPerLine) __builtin_prefetch(data + c, 1, 2);
}

// While the gradients of one latent are gathered, the rows of the next one travel from memory.
void prefetch_latent(const LatentSlice& slice, int64_t latent) {
  const auto prefetch_moment = [&](const SecondMoment& moment) {
    std::visit([&](const auto& rows) { prefetch_row(rows, latent); }, moment);
  };
  prefetch_row(slice.encoder, latent);
  prefetch_row(slice.encoder_m, latent);
  prefetch_moment(slice.encoder_v);
  prefetch_row(slice.decoder, latent);
  prefetch_row(slice.decoder_m, latent);
  prefetch_moment(slice.decoder_v);
}

void add_to(const float* from, float* to, int64_t count, bool accumulate) {
  if (accumulate) {
    vector_ops().add(from, to, count);
  } else {
    std::copy(from, from + count, to);
  }
}

void step_bias(const AdamFactors& factors, float gradient, const LatentSlice& slice, int64_t latent) {
  vector_ops().adam_row(factors, &gradient, slice.bias.data + latent, slice.bias_m.data + latent,
                        slice.bias_v.data + latent, 1);
}

// Finished gradients; null rows belong to matrices that the slice does not hold.
void step_latent(const LatentStepArgs& args, const AdamFactors& factors, const LatentSlice& slice,
                 int64_t latent, double inverse_norm, const float* encoder_gradient,
                 const float* decoder_gradient) {
  const int64_t d_model = args.input.shape[1];
  if (encoder_gradient != nullptr) {
    step_row(factors, encoder_gradient, d_model, encoder_row(slice, args.adam, latent));
  }
  if (decoder_gradient != nullptr) {
    step_decoder_row(args.decoder_norm, factors, inverse_norm, decoder_gradient, d_model,
                     decoder_row(slice, args.adam, latent));
  }
}

int64_t latents_of(const LatentSlice& slice) {
  return std::max({slice.encoder.shape[0], slice.decoder.shape[0], slice.bias.shape[0]});
}

}  // namespace

void accumulate_latent_gradients(const LatentStepArgs& args, bool accumulate, LatentGradients out) {
  const int64_t d_model = args.input.shape[1];
  const int64_t latents = std::max({out.encoder.shape[0], out.decoder.shape[0], out.bias.shape[0]});
#pragma omp parallel
  {
    GradientRows rows;
    float* encoder = out.encoder.data == nullptr ? nullptr : rows.encoder;
    float* decoder = out.decoder.data == nullptr ? nullptr : rows.decoder;
#pragma omp for schedule(dynamic, kLatentsAtATime)
    for (int64_t i = 0; i < latents; ++i) {
      gather_gradients(args, i, encoder, decoder);
      if (encoder != nullptr) add_to(encoder, out.encoder.row(i), d_model, accumulate);
      if (decoder != nullptr) add_to(decoder, out.decoder.row(i), d_model, accumulate);
      if (out.bias.shape[0] == 0) continue;
      out.bias.data[i] = bias_gradient(args, i) + (accumulate ? out.bias.data[i] : 0.0f);
    }
  }
}

void finish_latent_gradients(const LatentStepArgs& args, Matrix<const float> decoder,
                             LatentGradients gradients) {
  const int64_t d_model = args.input.shape[1];
#pragma omp parallel for schedule(dynamic, kLatentsAtATime)
  for (int64_t i = 0; i < gradients.decoder.shape[0]; ++i) {
    const double inverse = inverse_norm_before_step(args.decoder_norm, decoder.row(i), d_model);
    finish_decoder_gradient(args, i, decoder.row(i), inverse, gradients.decoder.row(i));
  }
}

void latent_gradient_norms(const LatentStepArgs& args, Matrix<const float> decoder, bool has_bias,
                           Vector<double> squared_norms) {
  const VectorOps& ops = vector_ops();
  const int64_t d_model = args.input.shape[1];
#pragma omp parallel
  {
    GradientRows rows;
#pragma omp for schedule(dynamic, kLatentsAtATime)
    for (int64_t i = 0; i < squared_norms.shape[0]; ++i) {
      gather_gradients(args, i, rows.encoder, rows.decoder);
      const double inverse = inverse_norm_before_step(args.decoder_norm, decoder.row(i), d_model);
      finish_decoder_gradient(args, i, decoder.row(i), inverse, rows.decoder);
      const double bias = has_bias ? static_cast<double>(bias_gradient(args, i)) : 0.0;
      squared_norms.data[i] = static_cast<double>(ops.squared_norm(rows.encoder, d_model)) +
                              static_cast<double>(ops.squared_norm(rows.decoder, d_model)) + bias * bias;
    }
  }
}

void stored_gradient_norms(LatentGradients gradients, Vector<double> squared_norms) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < squared_norms.shape[0]; ++i) {
    double squares = 0.0;
    for (int64_t c = 0; c < gradients.encoder.shape[1]; ++c) {
      const double e = gradients.encoder.row(i)[c];
      const double d = gradients.decoder.row(i)[c];
      squares += e * e + d * d;
    }
    if (gradients.bias.shape[0] > 0) {
      squares += static_cast<double>(gradients.bias.data[i]) * gradients.bias.data[i];
    }
    squared_norms.data[i] = squares;
  }
}

void latent_bias_gradients(const LatentStepArgs& args, Vector<float> bias_gradients) {
#pragma omp parallel for schedule(dynamic, kLatentsAtATime)
  for (int64_t i = 0; i < bias_gradients.shape[0]; ++i) bias_gradients.data[i] = bias_gradient(args, i);
}

void latent_step(const LatentStepArgs& args, LatentSlice slice) {
  const AdamFactors factors = adam_factors(args.adam, args.gradient_scale);
  const int64_t d_model = args.input.shape[1];
#pragma omp parallel
  {
    GradientRows rows;
    float* encoder = slice.encoder.data == nullptr ? nullptr : rows.encoder;
    float* decoder = slice.decoder.data == nullptr ? nullptr : rows.decoder;
#pragma omp for schedule(dynamic, kLatentsAtATime)
    for (int64_t i = 0; i < latents_of(slice); ++i) {
      prefetch_latent(slice, i + 1);
      gather_gradients(args, i, encoder, decoder);
      double inverse = 0.0;
      if (decoder != nullptr) {
        inverse = inverse_norm_before_step(args.decoder_norm, slice.decoder.row(i), d_model);
        finish_decoder_gradient(args, i, slice.decoder.row(i), inverse, decoder);
      }
      step_latent(args, factors, slice, i, inverse, encoder, decoder);
      if (slice.bias.shape[0] > 0) step_bias(factors, bias_gradient(args, i), slice, i);
    }
  }
}

void latent_step_from_gradients(const LatentStepArgs& args, LatentGradients gradients, LatentSlice slice) {
  const AdamFactors factors = adam_factors(args.adam, args.gradient_scale);
  const int64_t d_model = args.input.shape[1];
#pragma omp parallel for schedule(dynamic, kLatentsAtATime)
  for (int64_t i = 0; i < latents_of(slice); ++i) {
    const float* encoder = slice.encoder.data == nullptr ? nullptr : gradients.encoder.row(i);
    const float* decoder = slice.decoder.data == nullptr ? nullptr : gradients.decoder.row(i);
    double inverse = 0.0;
    if (decoder != nullptr) {
      inverse = inverse_norm_before_step(args.decoder_norm, slice.decoder.row(i), d_model);
    }
    step_latent(args, factors, slice, i, inverse, encoder, decoder);
    if (slice.bias.shape[0] > 0) step_bias(factors, gradients.bias.data[i], slice, i);
  }
}

void adam_vector(const AdamConstants& adam, float gradient_scale, Vector<const float> gradient,
                 Vector<float> parameter, Vector<float> m, Vector<float> v) {
  const AdamFactors factors = adam_factors(adam, gradient_scale);
  const int64_t elements = parameter.shape[0];
#pragma omp parallel for schedule(static) if (elements > kElementsAtATime)
  for (int64_t first = 0; first < elements; first += kElementsAtATime) {
    vector_ops().adam_row(factors, gradient.data + first, parameter.data + first, m.data + first,
                          v.data + first, std::min(kElementsAtATime, elements - first));
  }
}

void normalize_rows(Matrix<float> matrix) {
  const VectorOps& ops = vector_ops();
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < matrix.shape[0]; ++i) {
    const double norm = std::sqrt(static_cast<double>(ops.squared_norm(matrix.row(i), matrix.shape[1])));
    ops.scale(static_cast<float>(1.0 / std::max(norm, kSmallestNorm)), matrix.row(i), matrix.shape[1]);
  }
}

}  // namespace orthant::kernels::cpu
