// A block has one row of the codes.
#include "kernels/codes/codes.cuh"
#include "kernels/codes/statistics_cuda.h"
#include "kernels/cuda/launch.cuh"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 256;

template <bool kDivides>
__global__ void __launch_bounds__(kThreads)
    scale_row_of_codes(CodesPointers codes, int64_t first_latent, const float* factors, float* values) {
  const int64_t end = codes.row_offsets[blockIdx.x + 1];
  for (int64_t e = codes.row_offsets[blockIdx.x] + threadIdx.x; e < end; e += kThreads) {
    const float factor = factors[codes.latents[e] - first_latent];
    values[e] = kDivides ? values[e] / factor : values[e] * factor;
  }
}

}  // namespace

void multiply_codes(CodesView codes, int64_t first_latent, Vector<const float> factors, Stream& stream) {
  launch(scale_row_of_codes<false>, {.blocks = codes.rows(), .threads = kThreads}, stream, pointers_of(codes),
         first_latent, factors.data, codes.values.data);
}

void divide_codes(CodesView codes, int64_t first_latent, Vector<const float> factors, Stream& stream) {
  launch(scale_row_of_codes<true>, {.blocks = codes.rows(), .threads = kThreads}, stream, pointers_of(codes),
         first_latent, factors.data, codes.values.data);
}

}  // namespace orthant::kernels::cuda
