#include "kernels/codes/decode.h"

#include "kernels/codes/decode_cpu.h"
#include "kernels/codes/decode_cuda.h"

namespace orthant::kernels {
namespace {

void check_slice(const CodesView& codes, int64_t first_latent, Matrix<const float> decoder) {
  require(codes.row_offsets.shape[0] >= 1, "codes have row offsets");
  require(codes.values.shape[0] >= codes.latents.shape[0], "codes have a value for each latent");
  require(first_latent >= 0, "first_latent is not negative");
  require(codes.latents.device == decoder.device, "codes and decoder are on one device");
}

bool has_shape(Matrix<const float> matrix, int64_t rows, int64_t columns) {
  return matrix.shape[0] == rows && matrix.shape[1] == columns;
}

}  // namespace

void decode(CodesView codes, int64_t first_latent, Matrix<const float> decoder, DecodeStart start,
            Vector<const float> bias, Matrix<float> out, Stream& stream) {
  check_slice(codes, first_latent, decoder);
  require(has_shape(out, codes.rows(), decoder.shape[1]), "out of decode is [rows, d_model]");
  require(start != DecodeStart::kBias || bias.shape[0] == out.shape[1], "bias of decode is [d_model]");
  switch (out.device.kind) {
    case DeviceKind::kCpu:
      return cpu::decode(codes, first_latent, decoder, start, bias, out);
    case DeviceKind::kCuda:
      return cuda::decode(codes, first_latent, decoder, start, bias, out, stream);
  }
}

void reconstruction_error(Matrix<const float> input, Matrix<const float> reconstruction, float scale,
                          Matrix<float> gradient, Vector<double> squared_error, Stream& stream) {
  require(input.shape == reconstruction.shape, "input and reconstruction have one shape");
  require(input.shape == gradient.shape, "input and gradient have one shape");
  require(squared_error.shape[0] == input.shape[0], "squared_error is [rows]");
  switch (input.device.kind) {
    case DeviceKind::kCpu:
      return cpu::reconstruction_error(input, reconstruction, scale, gradient, squared_error);
    case DeviceKind::kCuda:
      return cuda::reconstruction_error(input, reconstruction, scale, gradient, squared_error, stream);
  }
}

void value_gradients(CodesView codes, int64_t first_latent, Matrix<const float> decoder,
                     Matrix<const float> gradient, Vector<float> value_gradients, Stream& stream) {
  check_slice(codes, first_latent, decoder);
  require(has_shape(gradient, codes.rows(), decoder.shape[1]),
          "gradient of value_gradients is [rows, d_model]");
  switch (decoder.device.kind) {
    case DeviceKind::kCpu:
      require(value_gradients.shape[0] >= codes.entries(), "value_gradients has room for every entry");
      return cpu::value_gradients(codes, first_latent, decoder, gradient, value_gradients);
    case DeviceKind::kCuda:
      return cuda::value_gradients(codes, first_latent, decoder, gradient, value_gradients, stream);
  }
}

void decode_with_gradients(CodesView codes, int64_t first_latent, Matrix<const float> decoder,
                           Vector<const float> bias, Matrix<const float> input, float scale,
                           Matrix<float> gradient, Vector<double> squared_error,
                           Vector<float> value_gradients, Stream& stream) {
  check_slice(codes, first_latent, decoder);
  require(has_shape(gradient, codes.rows(), decoder.shape[1]), "gradient of decode is [rows, d_model]");
  require(input.shape == gradient.shape, "input and gradient have one shape");
  require(bias.shape[0] == 0 || bias.shape[0] == decoder.shape[1], "bias of decode is [d_model] or empty");
  require(squared_error.shape[0] == codes.rows(), "squared_error is [rows]");
  switch (decoder.device.kind) {
    case DeviceKind::kCpu:
      require(value_gradients.shape[0] >= codes.entries(), "value_gradients has room for every entry");
      return cpu::decode_with_gradients(codes, first_latent, decoder, bias, input, scale, gradient,
                                        squared_error, value_gradients);
    case DeviceKind::kCuda:
      return cuda::decode_with_gradients(codes, first_latent, decoder, bias, input, scale, gradient,
                                         squared_error, value_gradients, stream);
  }
}

void column_sums(Matrix<const float> matrix, Vector<double> sums, Stream& stream) {
  require(sums.shape[0] == matrix.shape[1], "sums of column_sums is [columns]");
  switch (matrix.device.kind) {
    case DeviceKind::kCpu:
      return cpu::column_sums(matrix, sums);
    case DeviceKind::kCuda:
      return cuda::column_sums(matrix, sums, stream);
  }
}

}  // namespace orthant::kernels
