// A block has whole groups; what a producer makes of them is in shared memory, and of a normed row every
// block forms the norm. Each element counts those of its group that come before it; an element that stays
// finds its place by counting those of lower index that stay, too. Work grows with the square of the group.
#include "kernels/pruning/row_producer.cuh"
#include "kernels/pruning/score_bits.h"
#include "kernels/sparse/sparse_cuda.h"

namespace orthant::kernels::cuda {
namespace {

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

// The row's columns from `first`, where all threads find them: made in `room`, or as they are.
__device__ const float* columns_from(const ProducerOf& producer, const float* x, int64_t width, int64_t first,
                                     int64_t elements, float* room) {
  if (!producer.makes_rows()) return x + first;
  const ProducedRow row = made_row(producer, x, 0, width);
  for (int64_t i = threadIdx.x; i < elements; i += blockDim.x) room[i] = row.at(first + i);
  __syncthreads();
  return room;
}

__global__ void keep_groups(const float* x, ProducerOf producer, int64_t width, int64_t keep, int64_t group,
                            int64_t block_elements, int32_t* inputs, float* values) {
  float* const room = dynamic_shared<float>();  // [block_elements] with a producer, else none
  uint8_t* const stays =
      reinterpret_cast<uint8_t*>(room + (producer.makes_rows() ? block_elements : 0));  // [block_elements]
  const int64_t first = static_cast<int64_t>(blockIdx.x) * block_elements;
  const int64_t left = width - first;
  const int64_t elements = left < block_elements ? left : block_elements;
  const float* const row = columns_from(producer, x, width, first, elements, room);
  for (int64_t i = threadIdx.x; i < elements; i += blockDim.x) {
    const int64_t own = i % group;
    stays[i] = rank_of(row + i - own, group, own) < keep ? 1 : 0;
  }
  __syncthreads();
  for (int64_t i = threadIdx.x; i < elements; i += blockDim.x) {
    if (stays[i] == 0) continue;
    const int64_t begin = i - i % group;
    int64_t place = (first + begin) / group * keep;
    for (int64_t j = begin; j < i; ++j) place += stays[j];
    inputs[place] = static_cast<int32_t>(first + i);
    values[place] = row[i];
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
                          .shared_bytes = block_elements * (producer.makes_rows() ? 5 : 1)};
  launch(keep_groups, shape, stream, x.data, ProducerOf(producer), width, keep, group, block_elements,
         into.inputs.data, into.values.data);
}

}  // namespace orthant::kernels::cuda
