#include "kernels/codes/latent_step.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/codes/latent_step_cpu.h"
#include "kernels/codes/latent_step_cuda.h"

namespace orthant::kernels {
namespace {

bool empty_or(Matrix<const float> matrix, int64_t rows, int64_t columns) {
  return matrix.data == nullptr || (matrix.shape[0] == rows && matrix.shape[1] == columns);
}

void check_width(int64_t d_model) {
  if (d_model <= cpu::kWidestRow) return;
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("d_model {} is too wide", d_model),
               .why = fmt::format("a dictionary's rows may have {} elements", cpu::kWidestRow),
               .suggestion = "Choose another hook."});
}

void check_paths(const LatentStepArgs& args, int64_t latents) {
  check_width(args.input.shape[1]);
  for (int i = 0; i < args.path_count; ++i) {
    const CodePath& path = args.paths[i];
    require(path.order.offsets.shape[0] == latents + 1, "the order of a path is of the slice's latents");
    require(path.codes.rows() == args.input.shape[0], "codes of a path have the rows of the input");
    require(path.value_gradients.shape[0] == 0 || path.value_gradients.device == args.input.device,
            "value gradients are on the device of the input");
    require(path.output_gradient.shape == args.input.shape, "output_gradient has the shape of the input");
  }
  require(empty_or(args.decoder_penalty_gradient, latents, args.input.shape[1]),
          "decoder_penalty_gradient is [local_latents, d_model]");
}

int64_t latents_of(const LatentSlice& slice) {
  return std::max({slice.encoder.shape[0], slice.decoder.shape[0], slice.bias.shape[0]});
}

int64_t latents_of(const LatentGradients& gradients) {
  return std::max({gradients.encoder.shape[0], gradients.decoder.shape[0], gradients.bias.shape[0]});
}

std::array<int64_t, 2> shape_of(const SecondMoment& moment) {
  return std::visit([](const auto& rows) { return rows.shape; }, moment);
}

void check_slice(const LatentStepArgs& args, const LatentSlice& slice) {
  const int64_t latents = latents_of(slice), d_model = args.input.shape[1];
  require(empty_or(slice.encoder, latents, d_model), "encoder is [local_latents, d_model]");
  require(empty_or(slice.decoder, latents, d_model), "decoder is [local_latents, d_model]");
  require(slice.bias.shape[0] == 0 || slice.bias.shape[0] == latents, "bias is [local_latents]");
  require(slice.encoder.shape == slice.encoder_m.shape && slice.encoder.shape == shape_of(slice.encoder_v) &&
              slice.decoder.shape == slice.decoder_m.shape &&
              slice.decoder.shape == shape_of(slice.decoder_v) && slice.bias.shape == slice.bias_m.shape &&
              slice.bias.shape == slice.bias_v.shape,
          "moments have the shapes of their parameters");
  require(slice.encoder.data == nullptr || slice.decoder.data == nullptr ||
              slice.encoder_v.index() == slice.decoder_v.index(),
          "both second moments are stored alike");
  require(slice.first_latent >= 0, "first_latent is not negative");
  require(args.adam.step >= 1, "steps of Adam count from 1");
}

void check_gradients(const LatentStepArgs& args, const LatentGradients& gradients) {
  const int64_t latents = latents_of(gradients), d_model = args.input.shape[1];
  require(empty_or(gradients.encoder, latents, d_model), "encoder gradient is [local_latents, d_model]");
  require(empty_or(gradients.decoder, latents, d_model), "decoder gradient is [local_latents, d_model]");
}

}  // namespace

void sort_by_latent(CodesView codes, int64_t first_latent, LatentOrderView order, Stream& stream) {
  require(order.offsets.shape[0] >= 1, "offsets of the order are [local_latents + 1]");
  require(first_latent >= 0, "first_latent is not negative");
  switch (order.offsets.device.kind) {
    case DeviceKind::kCpu:
      return cpu::sort_by_latent(codes, first_latent, order);
    case DeviceKind::kCuda:
      return cuda::sort_by_latent(codes, first_latent, order, stream);
  }
}

void accumulate_latent_gradients(const LatentStepArgs& args, bool accumulate, LatentGradients out,
                                 Stream& stream) {
  check_paths(args, latents_of(out));
  check_gradients(args, out);
  switch (args.input.device.kind) {
    case DeviceKind::kCpu:
      return cpu::accumulate_latent_gradients(args, accumulate, out);
    case DeviceKind::kCuda:
      return cuda::accumulate_latent_gradients(args, accumulate, out, stream);
  }
}

void finish_latent_gradients(const LatentStepArgs& args, Matrix<const float> decoder,
                             LatentGradients gradients, Stream& stream) {
  check_gradients(args, gradients);
  require(gradients.decoder.shape == decoder.shape, "decoder and its gradient have one shape");
  require(empty_or(args.decoder_penalty_gradient, decoder.shape[0], decoder.shape[1]),
          "decoder_penalty_gradient is [local_latents, d_model]");
  switch (decoder.device.kind) {
    case DeviceKind::kCpu:
      return cpu::finish_latent_gradients(args, decoder, gradients);
    case DeviceKind::kCuda:
      return cuda::finish_latent_gradients(args, decoder, gradients, stream);
  }
}

void latent_gradient_norms(const LatentStepArgs& args, Matrix<const float> decoder, bool has_bias,
                           Vector<double> squared_norms, Stream& stream) {
  check_paths(args, squared_norms.shape[0]);
  require(decoder.shape[0] == squared_norms.shape[0], "squared_norms is [local_latents]");
  require(decoder.shape[1] == args.input.shape[1], "decoder rows have the width of the input");
  switch (decoder.device.kind) {
    case DeviceKind::kCpu:
      return cpu::latent_gradient_norms(args, decoder, has_bias, squared_norms);
    case DeviceKind::kCuda:
      return cuda::latent_gradient_norms(args, decoder, has_bias, squared_norms, stream);
  }
}

void stored_gradient_norms(LatentGradients gradients, Vector<double> squared_norms, Stream& stream) {
  require(gradients.encoder.shape == gradients.decoder.shape, "both gradients have one shape");
  require(gradients.encoder.shape[0] == squared_norms.shape[0], "squared_norms is of the gradients' latents");
  switch (squared_norms.device.kind) {
    case DeviceKind::kCpu:
      return cpu::stored_gradient_norms(gradients, squared_norms);
    case DeviceKind::kCuda:
      return cuda::stored_gradient_norms(gradients, squared_norms, stream);
  }
}

void latent_bias_gradients(const LatentStepArgs& args, Vector<float> bias_gradients, Stream& stream) {
  check_paths(args, bias_gradients.shape[0]);
  switch (bias_gradients.device.kind) {
    case DeviceKind::kCpu:
      return cpu::latent_bias_gradients(args, bias_gradients);
    case DeviceKind::kCuda:
      return cuda::latent_bias_gradients(args, bias_gradients, stream);
  }
}

void latent_step(const LatentStepArgs& args, LatentSlice slice, Stream& stream) {
  check_paths(args, latents_of(slice));
  check_slice(args, slice);
  switch (args.input.device.kind) {
    case DeviceKind::kCpu:
      return cpu::latent_step(args, slice);
    case DeviceKind::kCuda:
      return cuda::latent_step(args, slice, stream);
  }
}

void latent_step_from_gradients(const LatentStepArgs& args, LatentGradients gradients, LatentSlice slice,
                                Stream& stream) {
  check_slice(args, slice);
  require(slice.encoder.data == nullptr || gradients.encoder.shape == slice.encoder.shape,
          "encoder and its gradient have one shape");
  require(slice.decoder.data == nullptr || gradients.decoder.shape == slice.decoder.shape,
          "decoder and its gradient have one shape");
  require(slice.bias.shape[0] == 0 || gradients.bias.shape == slice.bias.shape,
          "bias and its gradient have one shape");
  switch (args.input.device.kind) {
    case DeviceKind::kCpu:
      return cpu::latent_step_from_gradients(args, gradients, slice);
    case DeviceKind::kCuda:
      return cuda::latent_step_from_gradients(args, gradients, slice, stream);
  }
}

void adam_vector(const AdamConstants& adam, float gradient_scale, Vector<const float> gradient,
                 Vector<float> parameter, Vector<float> m, Vector<float> v, Stream& stream) {
  require(adam.step >= 1, "steps of Adam count from 1");
  require(gradient.shape == parameter.shape && m.shape == parameter.shape && v.shape == parameter.shape,
          "gradient and moments have the shape of the parameter");
  switch (parameter.device.kind) {
    case DeviceKind::kCpu:
      return cpu::adam_vector(adam, gradient_scale, gradient, parameter, m, v);
    case DeviceKind::kCuda:
      return cuda::adam_vector(adam, gradient_scale, gradient, parameter, m, v, stream);
  }
}

void normalize_rows(Matrix<float> matrix, Stream& stream) {
  switch (matrix.device.kind) {
    case DeviceKind::kCpu:
      return cpu::normalize_rows(matrix);
    case DeviceKind::kCuda:
      return cuda::normalize_rows(matrix, stream);
  }
}

}  // namespace orthant::kernels
