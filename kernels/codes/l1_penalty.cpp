#include "kernels/codes/l1_penalty.h"

#include "kernels/codes/statistics_cuda.h"

namespace orthant::kernels {
namespace {

double weight_of(Vector<const double> weights, int64_t latent) {
  return weights.shape[0] == 0 ? 1.0 : weights.data[latent];
}

}  // namespace

void add_l1_gradients(CodesView codes, int64_t first_latent, double coefficient, Vector<const double> weights,
                      Vector<float> value_gradients, Stream& stream) {
  if (value_gradients.device.kind == DeviceKind::kCuda) {
    return cuda::add_l1_gradients(codes, first_latent, coefficient, weights, value_gradients, stream);
  }
#pragma omp parallel for schedule(static)
  for (int64_t e = codes.row_offsets.data[0]; e < codes.entries(); ++e) {
    const int64_t i = codes.latents.data[e] - first_latent;
    value_gradients.data[e] += static_cast<float>(coefficient * weight_of(weights, i));
  }
}

void add_l1_penalties(Vector<const double> sums, Vector<const double> weights, Vector<double> penalties,
                      Stream& stream) {
  require(weights.shape[0] == 0 || weights.shape == sums.shape, "weights are [local_latents] or empty");
  require(sums.shape == penalties.shape, "penalties are [local_latents]");
  if (sums.device.kind == DeviceKind::kCuda) return cuda::add_l1_penalties(sums, weights, penalties, stream);
  for (int64_t i = 0; i < sums.shape[0]; ++i) penalties.data[i] += sums.data[i] * weight_of(weights, i);
}

void add_norm_gradients(double coefficient, Vector<const double> sums, Vector<const double> norms,
                        Matrix<const float> decoder, Matrix<float> gradient, Stream& stream) {
  require(decoder.shape == gradient.shape && norms.shape[0] == decoder.shape[0],
          "gradients of norms have the shape of the decoder");
  require(sums.shape[0] > 0 ? decoder.shape[0] % sums.shape[0] == 0 : decoder.shape[0] == 0,
          "every latent has equally many rows");
  if (sums.shape[0] == 0) return;
  if (decoder.device.kind == DeviceKind::kCuda) {
    return cuda::add_norm_gradients(coefficient, sums, norms, decoder, gradient, stream);
  }
  const int64_t rows_of_latent = decoder.shape[0] / sums.shape[0];
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < decoder.shape[0]; ++i) {
    const double sum = sums.data[i / rows_of_latent], norm = norms.data[i];
    if (sum == 0.0 || norm == 0.0) continue;
    const float* const row = decoder.row(i);
    float* const into = gradient.row(i);
    for (int64_t c = 0; c < decoder.shape[1]; ++c) {
      into[c] += static_cast<float>(coefficient * sum * row[c] / norm);
    }
  }
}

}  // namespace orthant::kernels
