#include "kernels/codes/row_lengths_cuda.h"
#include "kernels/cuda/block_prefix.cuh"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kSumThreads = 1024;

__global__ void __launch_bounds__(kThreads)
    subtract_offsets(const int64_t* row_offsets, int64_t rows, int64_t* lengths) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row < rows) lengths[row] = row_offsets[row + 1] - row_offsets[row];
}

// One block has all rows.
__global__ void __launch_bounds__(kSumThreads) sum_lengths(int64_t rows, int64_t* offsets) {
  int64_t before = 0;
  for (int64_t first = 0; first < rows; first += kSumThreads) {
    const int64_t row = first + threadIdx.x;
    const int64_t length = row < rows ? offsets[row + 1] : 0;
    const Prefix<int64_t> prefix = block_prefix(length);
    if (row < rows) offsets[row + 1] = before + prefix.before + length;
    before += prefix.total;
  }
  if (threadIdx.x == 0) offsets[0] = 0;
}

}  // namespace

void row_lengths(Vector<const int64_t> row_offsets, Vector<int64_t> lengths, Stream& stream) {
  const int64_t rows = lengths.shape[0];
  launch(subtract_offsets, {.blocks = (rows + kThreads - 1) / kThreads, .threads = kThreads}, stream,
         row_offsets.data, rows, lengths.data);
}

void lengths_to_offsets(Vector<int64_t> offsets, Stream& stream) {
  launch(sum_lengths, {.blocks = 1, .threads = kSumThreads}, stream, offsets.shape[0] - 1, offsets.data);
}

}  // namespace orthant::kernels::cuda
