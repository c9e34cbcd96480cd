// A block has whole groups; of a normed row every block forms the norm. Each element counts those of its
// group that come before it; an element that stays finds its place by counting those of lower index that
// stay, too. Work grows with the square of the group, also that of a producer: its row is in no memory.
#include "kernels/pruning/row_producer.cuh"
#include "kernels/pruning/score_bits.h"
#include "kernels/sparse/sparse_cuda.h"

namespace orthant::kernels::cuda {
namespace {

// How many magnitudes of the group that begins at column `begin` come before that of column `own`.
__device__ int64_t rank_of(const ProducedRow& row, int64_t begin, int64_t group, int64_t own) {
  const int32_t key = score_bits(row.at(own), 1.0f);
  int64_t rank = 0;
  for (int64_t c = begin; c < begin + group; ++c) {
    const int32_t other = score_bits(row.at(c), 1.0f);
    rank += other > key || (other == key && c < own) ? 1 : 0;
  }
  return rank;
}

__global__ void keep_groups(const float* x, ProducerOf producer, int64_t width, int64_t keep, int64_t group,
                            int64_t block_elements, int32_t* inputs, float* values) {
  uint8_t* const stays = dynamic_shared<uint8_t>();  // [block_elements]
  const int64_t first = static_cast<int64_t>(blockIdx.x) * block_elements;
  const int64_t left = width - first;
  const int64_t elements = left < block_elements ? left : block_elements;
  const ProducedRow row = made_row(producer, x, 0, width);
  for (int64_t i = threadIdx.x; i < elements; i += blockDim.x)
    stays[i] = rank_of(row, first + i - i % group, group, first + i) < keep ? 1 : 0;
  __syncthreads();
  for (int64_t i = threadIdx.x; i < elements; i += blockDim.x) {
    if (stays[i] == 0) continue;
    const int64_t begin = i - i % group;
    int64_t place = (first + begin) / group * keep;
    for (int64_t j = begin; j < i; ++j) place += stays[j];
    inputs[place] = static_cast<int32_t>(first + i);
    values[place] = row.at(first + i);
  }
}

}  // namespace

void kept_inputs(Vector<const float> x, int64_t keep, int64_t group, KeptInputs into, Stream& stream,
                 const RowProducer& producer) {
  const int64_t width = x.shape[0];
  const int threads = row_threads(width);
  const int64_t block_elements = group < threads ? threads / group * group : group;
  const LaunchShape shape{.blocks = (width + block_elements - 1) / block_elements,
                          .threads = threads,
                          .shared_bytes = block_elements};
  launch(keep_groups, shape, stream, x.data, ProducerOf(producer), width, keep, group, block_elements,
         into.inputs.data, into.values.data);
}

}  // namespace orthant::kernels::cuda
