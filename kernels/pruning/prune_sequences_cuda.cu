// A block has one sequence; its scores lie in global memory.
#include "kernels/pruning/pruning_cuda.h"
#include "kernels/pruning/select_largest.cuh"
#include "kernels/pruning/sequence_score.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 1024;

struct SequencesOf {
  const float* x;
  const int64_t *offsets, *keep;
  int64_t width;
  const float* gains;   // null where there are none
  bool gains_for_each;  // sequence
  bool by_row_norm;
  float *scores, *kept;
};

// In the order of the CPU: column c to sum c mod 8, which are added in order.
__device__ double squares_of(const float* row, int64_t width) {
  constexpr int kChains = 8;
  double chain = 0.0;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int64_t c = lane; c < width && lane < kChains; c += kChains) {
    const double value = row[c];
    chain += value * value;
  }
  double total = 0.0;
  for (int i = 0; i < kChains; ++i) total += warp_shuffle(chain, i);
  return total;
}

__device__ void score_rows(const SequencesOf& s, int64_t first, int64_t end) {
  const float* const gains =
      s.gains == nullptr ? nullptr : s.gains + (s.gains_for_each ? blockIdx.x * s.width : 0);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int64_t row = first + threadIdx.x / kWarp; row < end; row += kThreads / kWarp) {
    const float* const x = s.x + row * s.width;
    const float factor = s.by_row_norm ? row_norm_factor(squares_of(x, s.width)) : 1.0f;
    for (int64_t c = lane; c < s.width; c += kWarp) {
      const int32_t score = sequence_score(x[c], factor, gains == nullptr ? 1.0f : gains[c]);
      s.scores[row * s.width + c] = float_of(static_cast<uint32_t>(score));
    }
  }
}

__global__ void __launch_bounds__(kThreads) prune_sequence(SequencesOf s) {
  const int64_t first = s.offsets[blockIdx.x], end = s.offsets[blockIdx.x + 1];
  score_rows(s, first, end);
  __syncthreads();
  const int64_t begin = first * s.width;
  block_mark_largest((end - first) * s.width, s.keep[blockIdx.x],
                     [&](int64_t i) { return static_cast<int32_t>(bits_of(s.scores[begin + i])); },
                     [&](int64_t i, bool survives) { s.kept[begin + i] = survives ? s.x[begin + i] : 0.0f; });
}

}  // namespace

void prune_sequences(const PruneSequences& sequences, Matrix<float> scores, Matrix<float> kept,
                     Stream& stream) {
  const int64_t count = sequences.keep.shape[0], sets = sequences.gains.shape[0];
  launch(prune_sequence, {.blocks = count, .threads = kThreads}, stream,
         SequencesOf{sequences.x.data, sequences.offsets.data, sequences.keep.data, sequences.x.shape[1],
                     sets == 0 ? nullptr : sequences.gains.data, sets == count, sequences.by_row_norm,
                     scores.data, kept.data});
}

}  // namespace orthant::kernels::cuda
