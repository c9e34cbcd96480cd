// The largest of many scores by a block, ties to the first.
#pragma once

#include "kernels/cuda/block_prefix.cuh"
#include "kernels/pruning/score_bits.h"

namespace orthant::kernels {

// The nth largest of the keys key_of(0 .. count). Collective for the block.
template <typename KeyOf>
__device__ int32_t block_nth_largest(int64_t count, int64_t nth, KeyOf key_of) {
  return nth_largest_key(nth, [&](int32_t least) {
    int64_t found = 0;
    for (int64_t i = threadIdx.x; i < count; i += blockDim.x) found += key_of(i) >= least ? 1 : 0;
    return block_sum(found);
  });
}

// Calls mark(i, survives) for all i: the `keep` largest of the scores, which are at least 0, survive.
// Collective for the block; a thread marks what it alone reads.
template <typename KeyOf, typename Mark>
__device__ void block_mark_largest(int64_t count, int64_t keep, KeyOf key_of, Mark mark) {
  const int32_t least = keep == 0 ? INT32_MAX : block_nth_largest(count, keep, key_of);
  int64_t above = 0;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) above += key_of(i) > least ? 1 : 0;
  int64_t ties = keep == 0 ? 0 : keep - block_sum(above);
  for (int64_t first = 0; first < count; first += blockDim.x) {
    const int64_t i = first + threadIdx.x;
    const bool is_tie = i < count && key_of(i) == least;
    const Prefix<int64_t> prefix = block_prefix<int64_t>(is_tie ? 1 : 0);
    if (i < count) mark(i, key_of(i) > least || (is_tie && prefix.before < ties));
    ties -= prefix.total;
  }
}

}  // namespace orthant::kernels
