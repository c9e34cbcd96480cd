// A block has one row of the codes; of latents, a warp has one.
#include "kernels/codes/codes.cuh"
#include "kernels/codes/statistics_cuda.h"
#include "kernels/cuda/row.cuh"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 64;

// Threads that mark one latent all write the same.
__global__ void __launch_bounds__(kThreads)
    mark_row(CodesPointers codes, int64_t first_latent, int64_t local_latents, bool by_selection,
             int32_t* fired) {
  const Entries entries = row_entries(codes, blockIdx.x, first_latent, first_latent + local_latents);
  for (int64_t e = entries.first + threadIdx.x; e < entries.last; e += kThreads) {
    if (by_selection || codes.values[e] > 0.0f) fired[codes.latents[e] - first_latent] = 1;
  }
}

__device__ float warp_min(float value) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    const float other = warp_shuffle_xor(value, mask);
    value = other < value ? other : value;
  }
  return value;
}

__global__ void __launch_bounds__(kWarp) smallest_of_row(CodesPointers codes, float* smallest) {
  const int64_t end = codes.row_offsets[blockIdx.x + 1];
  float least = INFINITY;
  for (int64_t e = codes.row_offsets[blockIdx.x] + threadIdx.x; e < end; e += kWarp) {
    const float value = codes.values[e];
    if (value > 0.0f && value < least) least = value;
  }
  least = warp_min(least);
  if (threadIdx.x == 0) smallest[blockIdx.x] = least;
}

__global__ void __launch_bounds__(kWarp)
    sum_of_latent(const float* values, const int64_t* offsets, const int64_t* entries, double* sums) {
  const int64_t first = offsets[blockIdx.x];
  const double sum = warp_sum_in_order(0.0, offsets[blockIdx.x + 1] - first, [&](int64_t at) {
    return static_cast<double>(values[entries[first + at]]);
  });
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

}  // namespace

void mark_fired(CodesView codes, int64_t first_latent, bool by_selection, Vector<int32_t> fired,
                Stream& stream) {
  launch(mark_row, {.blocks = codes.rows(), .threads = kThreads}, stream, pointers_of(codes), first_latent,
         fired.shape[0], by_selection, fired.data);
}

void smallest_of_rows(CodesView codes, Vector<float> smallest, Stream& stream) {
  launch(smallest_of_row, {.blocks = codes.rows(), .threads = kWarp}, stream, pointers_of(codes),
         smallest.data);
}

void latent_value_sums(CodesView codes, LatentOrderView order, Vector<double> sums, Stream& stream) {
  launch(sum_of_latent, {.blocks = sums.shape[0], .threads = kWarp}, stream, codes.values.data,
         order.offsets.data, order.entries.data, sums.data);
}

}  // namespace orthant::kernels::cuda
