// A thread has one column of a sequence and adds its rows in order: the bits of the CPU.
#include "kernels/cuda/launch.cuh"
#include "kernels/pruning/peak_gain.h"
#include "kernels/pruning/pruning_cuda.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void norm_of_column(const float* x, const int64_t* offsets, int64_t width, int64_t elements,
                               float* norms) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= elements) return;
  const int64_t sequence = i / width, column = i % width;
  double squares = 0.0;
  for (int64_t row = offsets[sequence]; row < offsets[sequence + 1]; ++row) {
    const double value = x[row * width + column];
    squares += value * value;
  }
  norms[i] = static_cast<float>(sqrt(squares));
}

__global__ void peak_of_column(const float* x, const int64_t* offsets, const float* weight_peaks,
                               int64_t width, int64_t elements, float* gains) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= elements) return;
  const int64_t sequence = i / width, column = i % width;
  float peak = 0.0f;
  for (int64_t row = offsets[sequence]; row < offsets[sequence + 1]; ++row)
    peak = fmaxf(peak, fabsf(x[row * width + column]));
  gains[i] = peak_gain(peak, weight_peaks[column]);
}

int64_t blocks_for(int64_t elements) {
  return (elements + kThreads - 1) / kThreads;
}

}  // namespace

void column_norms(Matrix<const float> x, Vector<const int64_t> offsets, Matrix<float> norms, Stream& stream) {
  launch(norm_of_column, {.blocks = blocks_for(norms.elements()), .threads = kThreads}, stream, x.data,
         offsets.data, norms.shape[1], norms.elements(), norms.data);
}

void column_peak_gains(Matrix<const float> x, Vector<const int64_t> offsets, Vector<const float> weight_peaks,
                       Matrix<float> gains, Stream& stream) {
  launch(peak_of_column, {.blocks = blocks_for(gains.elements()), .threads = kThreads}, stream, x.data,
         offsets.data, weight_peaks.data, gains.shape[1], gains.elements(), gains.data);
}

}  // namespace orthant::kernels::cuda
