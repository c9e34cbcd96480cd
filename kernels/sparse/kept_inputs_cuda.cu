// A block has whole groups. Each element counts those of its group that come before it; an element that stays
// finds its place by counting those of lower index that stay, too. Work grows with the square of the group.
#include "kernels/cuda/launch.cuh"
#include "kernels/pruning/score_bits.h"
#include "kernels/sparse/sparse_cuda.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 256;

// How many of `group` magnitudes come before that of index `own`.
__device__ int64_t rank_of(const float* x, int64_t group, int64_t own) {
  const int32_t key = score_bits(x[own], 1.0f);
  int64_t rank = 0;
  for (int64_t i = 0; i < group; ++i) {
    const int32_t other = score_bits(x[i], 1.0f);
    rank += other > key || (other == key && i < own) ? 1 : 0;
  }
  return rank;
}

__global__ void __launch_bounds__(kThreads)
    keep_groups(const float* x, int64_t width, int64_t keep, int64_t group, int64_t block_elements,
                int32_t* inputs, float* values) {
  uint8_t* const stays = dynamic_shared<uint8_t>();  // [block_elements]
  const int64_t first = static_cast<int64_t>(blockIdx.x) * block_elements;
  const int64_t left = width - first;
  const int64_t elements = left < block_elements ? left : block_elements;
  for (int64_t i = threadIdx.x; i < elements; i += kThreads) {
    const int64_t own = i % group;
    stays[i] = rank_of(x + first + i - own, group, own) < keep ? 1 : 0;
  }
  __syncthreads();
  for (int64_t i = threadIdx.x; i < elements; i += kThreads) {
    if (stays[i] == 0) continue;
    const int64_t begin = i - i % group;
    int64_t place = (first + begin) / group * keep;
    for (int64_t j = begin; j < i; ++j) place += stays[j];
    inputs[place] = static_cast<int32_t>(first + i);
    values[place] = x[first + i];
  }
}

}  // namespace

void kept_inputs(Vector<const float> x, int64_t keep, int64_t group, KeptInputs into, Stream& stream) {
  const int64_t width = x.shape[0];
  const int64_t block_elements = group < kThreads ? kThreads / group * group : group;
  const LaunchShape shape{.blocks = (width + block_elements - 1) / block_elements,
                          .threads = kThreads,
                          .shared_bytes = block_elements};
  launch(keep_groups, shape, stream, x.data, width, keep, group, block_elements, into.inputs.data,
         into.values.data);
}

}  // namespace orthant::kernels::cuda
