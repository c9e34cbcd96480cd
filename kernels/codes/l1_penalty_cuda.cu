// A block has one row of the codes, or one of the decoder.
#include "kernels/codes/codes.cuh"
#include "kernels/codes/statistics_cuda.h"
#include "kernels/cuda/row.cuh"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 256;

// Null: 1 each.
const double* pointer_of(Vector<const double> weights) {
  return weights.shape[0] == 0 ? nullptr : weights.data;
}

__device__ double weight_of(const double* weights, int64_t latent) {
  return weights == nullptr ? 1.0 : weights[latent];
}

__global__ void __launch_bounds__(kThreads)
    add_l1_of_row(CodesPointers codes, int64_t first_latent, double coefficient, const double* weights,
                  float* value_gradients) {
  const int64_t end = codes.row_offsets[blockIdx.x + 1];
  for (int64_t e = codes.row_offsets[blockIdx.x] + threadIdx.x; e < end; e += kThreads) {
    value_gradients[e] +=
        static_cast<float>(coefficient * weight_of(weights, codes.latents[e] - first_latent));
  }
}

__global__ void __launch_bounds__(kThreads)
    add_penalty(const double* sums, const double* weights, int64_t latents, double* penalties) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < latents) penalties[i] += sums[i] * weight_of(weights, i);
}

__global__ void __launch_bounds__(kThreads)
    add_norm_gradient(double coefficient, const double* sums, int64_t rows_of_latent, const double* norms,
                      const float* decoder, int64_t width, float* gradient) {
  const int64_t at = blockIdx.x * width;
  const double sum = sums[blockIdx.x / rows_of_latent], norm = norms[blockIdx.x];
  if (sum == 0.0 || norm == 0.0) return;
  for (int64_t c = threadIdx.x; c < width; c += kThreads) {
    gradient[at + c] += static_cast<float>(coefficient * sum * decoder[at + c] / norm);
  }
}

}  // namespace

void add_l1_gradients(CodesView codes, int64_t first_latent, double coefficient, Vector<const double> weights,
                      Vector<float> value_gradients, Stream& stream) {
  launch(add_l1_of_row, {.blocks = codes.rows(), .threads = kThreads}, stream, pointers_of(codes),
         first_latent, coefficient, pointer_of(weights), value_gradients.data);
}

void add_l1_penalties(Vector<const double> sums, Vector<const double> weights, Vector<double> penalties,
                      Stream& stream) {
  launch(add_penalty, {.blocks = (sums.shape[0] + kThreads - 1) / kThreads, .threads = kThreads}, stream,
         sums.data, pointer_of(weights), sums.shape[0], penalties.data);
}

void add_norm_gradients(double coefficient, Vector<const double> sums, Vector<const double> norms,
                        Matrix<const float> decoder, Matrix<float> gradient, Stream& stream) {
  launch(add_norm_gradient, {.blocks = decoder.shape[0], .threads = kThreads}, stream, coefficient, sums.data,
         decoder.shape[0] / sums.shape[0], norms.data, decoder.data, decoder.shape[1], gradient.data);
}

}  // namespace orthant::kernels::cuda
