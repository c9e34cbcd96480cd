// A block has one row; a thread has pairs of coordinates.
#include "kernels/cuda/launch.cuh"
#include "kernels/transformer/transformer_cuda.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 128;

__global__ void rotate_row(float* x, const int32_t* positions, const float* cosines, const float* sines,
                           int64_t width, int64_t half) {
  float* row = x + blockIdx.x * width;
  const float* cosine = cosines + positions[blockIdx.x] * half;
  const float* sine = sines + positions[blockIdx.x] * half;
  for (int64_t pair = threadIdx.x; pair < width / 2; pair += blockDim.x) {
    const int64_t i = pair % half;
    float* at = row + pair / half * 2 * half + i;
    const float a = at[0];
    const float b = at[half];
    at[0] = a * cosine[i] - b * sine[i];
    at[half] = b * cosine[i] + a * sine[i];
  }
}

}  // namespace

void rotate_heads(Matrix<float> x, Vector<const int32_t> positions, Matrix<const float> cosines,
                  Matrix<const float> sines, Stream& stream) {
  launch(rotate_row, {.blocks = x.shape[0], .threads = kThreads}, stream, x.data, positions.data,
         cosines.data, sines.data, x.shape[1], cosines.shape[1]);
}

}  // namespace orthant::kernels::cuda
