// A block has one latent. A thread keeps to its columns in every pass, so only products of rows, which the
// first warp forms in the order of the CPU, need barriers.
#include <algorithm>

#include "kernels/codes/latent_row.cuh"
#include "kernels/codes/latent_row.h"
#include "kernels/codes/latent_step_cuda.h"
#include "runtime/core/error.h"

namespace orthant::kernels::cuda {
namespace {

// Null: the slice does not hold it. V: as the second moment is stored.
template <typename V>
struct RowsAndMoments {
  float* rows;
  float* m;
  V* v;
};

template <typename V>
struct SlicePointers {
  RowsAndMoments<V> encoder, decoder;
  RowsAndMoments<float> bias;
  uint64_t seed;
  int64_t step, first_latent;  // of the draws of rounding
};

struct GradientPointers {
  float* encoder;
  float* decoder;
  float* bias;
};

LatentWork work_of(const LatentStepArgs& args) {
  require(args.path_count <= kMostPaths, "a step has at most two paths");
  LatentWork work{};
  work.path_count = args.path_count;
  for (int i = 0; i < args.path_count; ++i) {
    const CodePath& path = args.paths[i];
    work.paths[i] = {path.order.offsets.data, path.order.rows.data,      path.order.entries.data,
                     path.codes.values.data,  path.value_gradients.data, path.output_gradient.data};
  }
  work.input = args.input.data;
  work.penalty = args.decoder_penalty_gradient.data;
  work.width = args.input.shape[1];
  work.norm = args.decoder_norm;
  return work;
}

bool holds_bf16(const LatentSlice& slice) {
  return std::holds_alternative<Matrix<uint16_t>>(slice.encoder_v) ||
         std::holds_alternative<Matrix<uint16_t>>(slice.decoder_v);
}

// Null where nothing is stored as V: what a frozen matrix has.
template <typename V>
V* data_of(const SecondMoment& moment) {
  const auto* rows = std::get_if<Matrix<V>>(&moment);
  return rows == nullptr ? nullptr : rows->data;
}

template <typename V>
SlicePointers<V> pointers_of(const LatentSlice& slice, const AdamConstants& adam) {
  const auto has_bias = slice.bias.shape[0] > 0;
  return {{slice.encoder.data, slice.encoder_m.data, data_of<V>(slice.encoder_v)},
          {slice.decoder.data, slice.decoder_m.data, data_of<V>(slice.decoder_v)},
          {has_bias ? slice.bias.data : nullptr, slice.bias_m.data, slice.bias_v.data},
          adam.seed,
          adam.step,
          slice.first_latent};
}

GradientPointers pointers_of(const LatentGradients& gradients) {
  return {gradients.encoder.data, gradients.decoder.data,
          gradients.bias.shape[0] > 0 ? gradients.bias.data : nullptr};
}

bool is_whole_work(const LatentWork& work) {
  bool whole = is_whole(work.width, work.input, work.penalty);
  for (int i = 0; i < work.path_count; ++i)
    whole = whole && is_whole(work.width, work.paths[i].output_gradient);
  return whole;
}

template <typename V>
bool is_whole_slice(int64_t width, const SlicePointers<V>& slice) {
  return is_whole(width, slice.encoder.rows, slice.encoder.m, slice.encoder.v, slice.decoder.rows,
                  slice.decoder.m, slice.decoder.v);
}

// `has_row`: a row of gradients in shared memory.
LaunchShape shape_of(int64_t latents, int64_t width, bool has_row) {
  return {.blocks = latents,
          .threads = row_threads(width),
          .shared_bytes = has_row ? width * static_cast<int64_t>(sizeof(float)) : 0};
}

template <typename Rows>
int64_t latents_of(const Rows& rows) {
  return std::max({rows.encoder.shape[0], rows.decoder.shape[0], rows.bias.shape[0]});
}

template <bool kWhole>
__device__ void add_columns(Four sum, bool accumulate, int64_t column, int64_t width, float* row) {
  if (accumulate) {
    const Four before = load_columns<kWhole>(row, column, width);
    for (int i = 0; i < 4; ++i) sum.of[i] += before.of[i];
  }
  store_columns<kWhole>(row, column, width, sum);
}

template <bool kWhole>
__global__ void accumulate_latent(LatentWork work, bool accumulate, GradientPointers out) {
  const int64_t latent = blockIdx.x, at = latent * work.width;
  for (int64_t c = first_column(); c < work.width; c = next_column(c)) {
    if (out.encoder != nullptr) {
      const Four sum = encoder_gradient<kWhole>(work, latent, c);
      add_columns<kWhole>(sum, accumulate, c, work.width, out.encoder + at);
    }
    if (out.decoder != nullptr) {
      const Four sum = decoder_gradient<kWhole>(work, latent, c);
      add_columns<kWhole>(sum, accumulate, c, work.width, out.decoder + at);
    }
  }
  if (out.bias == nullptr || threadIdx.x >= kWarp) return;
  const float bias = warp_bias_gradient(work, latent);
  if (threadIdx.x == 0) out.bias[latent] = bias + (accumulate ? out.bias[latent] : 0.0f);
}

template <bool kWhole>
__global__ void finish_latent(LatentWork work, const float* decoder, float* gradients) {
  const int64_t latent = blockIdx.x, at = latent * work.width;
  const double inverse = inverse_norm_before_step<kWhole>(work.norm, decoder + at, work.width);
  finish_decoder_gradient<kWhole>(work, latent, decoder + at, inverse, gradients + at);
}

// The finished decoder gradient of a latent, left in `gradient`; returns the row's inverse norm.
template <bool kWhole>
__device__ double finished_decoder_gradient(const LatentWork& work, int64_t latent, const float* row,
                                            float* gradient) {
  for (int64_t c = first_column(); c < work.width; c = next_column(c)) {
    store_columns<kWhole>(gradient, c, work.width, decoder_gradient<kWhole>(work, latent, c));
  }
  const double inverse = inverse_norm_before_step<kWhole>(work.norm, row, work.width);
  finish_decoder_gradient<kWhole>(work, latent, row, inverse, gradient);
  return inverse;
}

template <bool kWhole>
__global__ void latent_norm(LatentWork work, const float* decoder, bool has_bias, double* squared_norms) {
  const int64_t latent = blockIdx.x;
  float* gradient = dynamic_shared<float>();
  for (int64_t c = first_column(); c < work.width; c = next_column(c)) {
    store_columns<kWhole>(gradient, c, work.width, encoder_gradient<kWhole>(work, latent, c));
  }
  const double encoder = block_dot<kWhole>(gradient, gradient, work.width);
  finished_decoder_gradient<kWhole>(work, latent, decoder + latent * work.width, gradient);
  const double norm = encoder + static_cast<double>(block_dot<kWhole>(gradient, gradient, work.width));
  if (threadIdx.x >= kWarp) return;
  const double bias = has_bias ? static_cast<double>(warp_bias_gradient(work, latent)) : 0.0;
  if (threadIdx.x == 0) squared_norms[latent] = norm + bias * bias;
}

__global__ void __launch_bounds__(kWarp)
    stored_norm(GradientPointers gradients, int64_t width, double* squared_norms) {
  const int64_t latent = blockIdx.x, at = latent * width;
  const double squares = warp_sum_in_order(0.0, width, [&](int64_t c) {
    const double e = gradients.encoder[at + c], d = gradients.decoder[at + c];
    return e * e + d * d;
  });
  if (threadIdx.x != 0) return;
  const double bias = gradients.bias == nullptr ? 0.0 : static_cast<double>(gradients.bias[latent]);
  squared_norms[latent] = squares + bias * bias;
}

__global__ void bias_gradient(LatentWork work, float* gradients) {
  const float sum = warp_bias_gradient(work, blockIdx.x);
  if (threadIdx.x == 0) gradients[blockIdx.x] = sum;
}

__device__ void step_bias(const AdamFactors& factors, float gradient, RowsAndMoments<float> bias,
                          int64_t latent) {
  adam_element(factors, gradient, bias.rows[latent], bias.m[latent], bias.v[latent]);
}

template <typename V>
__device__ DeviceRow<V> row_of(const RowsAndMoments<V>& all, const SlicePointers<V>& slice, Purpose purpose,
                               int64_t latent, int64_t width) {
  const int64_t at = latent * width;
  DeviceRow<V> row{all.rows + at, all.m + at, all.v + at, {}};
  if constexpr (sizeof(V) == sizeof(uint16_t)) {
    row.key = rounding_key(slice.seed, purpose, slice.step, slice.first_latent + latent);
  }
  return row;
}

template <bool kWhole, typename V>
__global__ void step_latent(LatentWork work, AdamFactors factors, SlicePointers<V> slice) {
  const int64_t latent = blockIdx.x;
  if (slice.encoder.rows != nullptr) {
    const DeviceRow<V> row =
        row_of(slice.encoder, slice, Purpose::kEncoderMomentRounding, latent, work.width);
    for (int64_t c = first_column(); c < work.width; c = next_column(c)) {
      adam_columns<kWhole>(factors, encoder_gradient<kWhole>(work, latent, c), c, work.width, 1.0f, row);
    }
  }
  if (slice.decoder.rows != nullptr) {
    const DeviceRow<V> row =
        row_of(slice.decoder, slice, Purpose::kDecoderMomentRounding, latent, work.width);
    float* gradient = dynamic_shared<float>();
    const double inverse = finished_decoder_gradient<kWhole>(work, latent, row.parameter, gradient);
    step_decoder_row<kWhole>(work.norm, factors, inverse, gradient, work.width, row);
  }
  if (slice.bias.rows == nullptr || threadIdx.x >= kWarp) return;
  const float bias = warp_bias_gradient(work, latent);
  if (threadIdx.x == 0) step_bias(factors, bias, slice.bias, latent);
}

template <bool kWhole, typename V>
__global__ void step_latent_from(DecoderNorm norm, int64_t width, AdamFactors factors,
                                 GradientPointers gradients, SlicePointers<V> slice) {
  const int64_t latent = blockIdx.x, at = latent * width;
  if (slice.encoder.rows != nullptr) {
    const DeviceRow<V> row = row_of(slice.encoder, slice, Purpose::kEncoderMomentRounding, latent, width);
    for (int64_t c = first_column(); c < width; c = next_column(c)) {
      const Four gradient = load_columns<kWhole>(gradients.encoder + at, c, width);
      adam_columns<kWhole>(factors, gradient, c, width, 1.0f, row);
    }
  }
  if (slice.decoder.rows != nullptr) {
    const DeviceRow<V> row = row_of(slice.decoder, slice, Purpose::kDecoderMomentRounding, latent, width);
    const double inverse = inverse_norm_before_step<kWhole>(norm, row.parameter, width);
    step_decoder_row<kWhole>(norm, factors, inverse, gradients.decoder + at, width, row);
  }
  if (slice.bias.rows != nullptr && threadIdx.x == 0) {
    step_bias(factors, gradients.bias[latent], slice.bias, latent);
  }
}

__global__ void step_element(AdamFactors factors, const float* gradient, int64_t elements, float* parameter,
                             float* m, float* v) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < elements) adam_element(factors, gradient[i], parameter[i], m[i], v[i]);
}

template <bool kWhole>
__global__ void normalize_row(float* matrix, int64_t width) {
  float* row = matrix + blockIdx.x * width;
  const double length = sqrt(static_cast<double>(block_dot<kWhole>(row, row, width)));
  scale_row<kWhole>(static_cast<float>(1.0 / (length > 1e-30 ? length : 1e-30)), row, width);
}

template <typename V>
void step_with(const LatentStepArgs& args, const LatentSlice& slice, Stream& stream) {
  const LatentWork work = work_of(args);
  const SlicePointers<V> pointers = pointers_of<V>(slice, args.adam);
  const bool whole = is_whole_work(work) && is_whole_slice(work.width, pointers);
  launch(whole ? step_latent<true, V> : step_latent<false, V>, shape_of(latents_of(slice), work.width, true),
         stream, work, adam_factors(args.adam, args.gradient_scale), pointers);
}

template <typename V>
void step_from_with(const LatentStepArgs& args, const LatentGradients& gradients, const LatentSlice& slice,
                    Stream& stream) {
  const int64_t width = args.input.shape[1];
  const SlicePointers<V> pointers = pointers_of<V>(slice, args.adam);
  const bool whole =
      is_whole_slice(width, pointers) && is_whole(width, gradients.encoder.data, gradients.decoder.data);
  launch(whole ? step_latent_from<true, V> : step_latent_from<false, V>,
         shape_of(latents_of(slice), width, false), stream, args.decoder_norm, width,
         adam_factors(args.adam, args.gradient_scale), pointers_of(gradients), pointers);
}

}  // namespace

void accumulate_latent_gradients(const LatentStepArgs& args, bool accumulate, LatentGradients out,
                                 Stream& stream) {
  const LatentWork work = work_of(args);
  const bool whole = is_whole_work(work) && is_whole(work.width, out.encoder.data, out.decoder.data);
  launch(whole ? accumulate_latent<true> : accumulate_latent<false>,
         shape_of(latents_of(out), work.width, false), stream, work, accumulate, pointers_of(out));
}

void finish_latent_gradients(const LatentStepArgs& args, Matrix<const float> decoder,
                             LatentGradients gradients, Stream& stream) {
  const LatentWork work = work_of(args);
  const bool whole = is_whole(work.width, work.penalty, decoder.data, gradients.decoder.data);
  launch(whole ? finish_latent<true> : finish_latent<false>, shape_of(decoder.shape[0], work.width, false),
         stream, work, decoder.data, gradients.decoder.data);
}

void latent_gradient_norms(const LatentStepArgs& args, Matrix<const float> decoder, bool has_bias,
                           Vector<double> squared_norms, Stream& stream) {
  const LatentWork work = work_of(args);
  const bool whole = is_whole_work(work) && is_whole(work.width, decoder.data);
  launch(whole ? latent_norm<true> : latent_norm<false>, shape_of(squared_norms.shape[0], work.width, true),
         stream, work, decoder.data, has_bias, squared_norms.data);
}

void stored_gradient_norms(LatentGradients gradients, Vector<double> squared_norms, Stream& stream) {
  const int64_t width = gradients.encoder.shape[1];
  launch(stored_norm, {.blocks = squared_norms.shape[0], .threads = kWarp}, stream, pointers_of(gradients),
         width, squared_norms.data);
}

void latent_bias_gradients(const LatentStepArgs& args, Vector<float> bias_gradients, Stream& stream) {
  launch(bias_gradient, {.blocks = bias_gradients.shape[0], .threads = kWarp}, stream, work_of(args),
         bias_gradients.data);
}

void latent_step(const LatentStepArgs& args, LatentSlice slice, Stream& stream) {
  return holds_bf16(slice) ? step_with<uint16_t>(args, slice, stream) : step_with<float>(args, slice, stream);
}

void latent_step_from_gradients(const LatentStepArgs& args, LatentGradients gradients, LatentSlice slice,
                                Stream& stream) {
  return holds_bf16(slice) ? step_from_with<uint16_t>(args, gradients, slice, stream)
                           : step_from_with<float>(args, gradients, slice, stream);
}

void adam_vector(const AdamConstants& adam, float gradient_scale, Vector<const float> gradient,
                 Vector<float> parameter, Vector<float> m, Vector<float> v, Stream& stream) {
  constexpr int kThreads = 256;
  launch(step_element, {.blocks = (parameter.shape[0] + kThreads - 1) / kThreads, .threads = kThreads},
         stream, adam_factors(adam, gradient_scale), gradient.data, parameter.shape[0], parameter.data,
         m.data, v.data);
}

void normalize_rows(Matrix<float> matrix, Stream& stream) {
  const int64_t width = matrix.shape[1];
  launch(is_whole(width, matrix.data) ? normalize_row<true> : normalize_row<false>,
         {.blocks = matrix.shape[0], .threads = row_threads(width)}, stream, matrix.data, width);
}

}  // namespace orthant::kernels::cuda
