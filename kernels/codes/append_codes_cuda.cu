// A warp has one row. Where the rows begin is read on the device: it depends on the rows before.
#include "kernels/codes/append_codes_cuda.h"
#include "kernels/cuda/launch.cuh"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRowsOfBlock = kThreads / kWarp;

struct Rows {
  const int64_t* row_offsets;
  const int32_t* latents;
  const float* values;
};

struct Batch {
  int64_t* row_offsets;
  int32_t* latents;
  float* values;
};

__global__ void __launch_bounds__(kThreads) append_row(Rows from, int64_t rows, int64_t first, Batch into) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kRowsOfBlock + threadIdx.x / kWarp;
  if (row >= rows) return;
  // The offset in front of the first row of a batch is written by nobody before.
  const int64_t base = first == 0 ? 0 : into.row_offsets[first];
  const int64_t moved = base - from.row_offsets[0];
  const int64_t begin = from.row_offsets[row], end = from.row_offsets[row + 1];
  for (int64_t e = begin + threadIdx.x % kWarp; e < end; e += kWarp) {
    into.latents[e + moved] = from.latents[e];
    into.values[e + moved] = from.values[e];
  }
  if (threadIdx.x % kWarp != 0) return;
  into.row_offsets[first + row + 1] = end + moved;
  if (first == 0 && row == 0) into.row_offsets[0] = 0;
}

}  // namespace

void append_codes(CodesView from, int64_t first, CodesView into, Stream& stream) {
  launch(append_row, {.blocks = (from.rows() + kRowsOfBlock - 1) / kRowsOfBlock, .threads = kThreads}, stream,
         Rows{from.row_offsets.data, from.latents.data, from.values.data}, from.rows(), first,
         Batch{into.row_offsets.data, into.latents.data, into.values.data});
}

}  // namespace orthant::kernels::cuda
