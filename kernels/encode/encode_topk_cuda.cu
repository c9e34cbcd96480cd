// Tops of every row, filled up with the lowest latents that are not among them.
#include "kernels/encode/encode_tile.cuh"
#include "kernels/encode/encode_tops_cuda.h"

namespace orthant::kernels::cuda {
namespace {

// Entries of one row, and where they go.
struct RowOut {
  LatentNumbers numbers;
  int32_t* latents;
  float* values;

  __device__ void put(int64_t at, int64_t local, float value) const {
    latents[at] = numbers.of(local);
    values[at] = value;
  }
};

// How many of the ascending `members` come before the `fill`-th latent that is none of them.
__device__ int64_t members_before(const int32_t* members, int64_t count, int64_t fill) {
  int64_t first = 0, last = count;
  while (first < last) {
    const int64_t middle = (first + last) / 2;
    if (members[middle] - middle > fill) {
      last = middle;
    } else {
      first = middle + 1;
    }
  }
  return first;
}

__global__ void __launch_bounds__(kTileThreads)
    emit_row(Tops tops, LatentNumbers numbers, int64_t first_row, int32_t* latents, float* values) {
  const int64_t row = blockIdx.x, k = tops.k, to = (first_row + row) * k;
  const RowOut out{numbers, latents + to, values + to};
  const int32_t* const members = tops.lists.latents + row * tops.lists.room;
  const float* const activations = tops.lists.values + row * tops.lists.room;
  const int64_t count = tops.lists.counts[row], missing = k - count;
  for (int64_t i = threadIdx.x; i < count; i += kTileThreads) {
    const int64_t others = members[i] - i;
    out.put(i + (others < missing ? others : missing), members[i], activations[i]);
  }
  for (int64_t fill = threadIdx.x; fill < missing; fill += kTileThreads) {
    const int64_t latent = fill + members_before(members, count, fill);
    out.put(latent, latent, tops.lowest[row * k + latent]);
  }
}

__global__ void __launch_bounds__(kTileThreads) equal_offsets(int64_t rows, int64_t k, int64_t* offsets) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kTileThreads + threadIdx.x;
  if (row <= rows) offsets[row] = row * k;
}

}  // namespace

void encode_topk(const EncodeArgs& args, const DenseWeights& encoder, int64_t k, const EncodeScratch& scratch,
                 CodesView out, Stream& stream) {
  const int64_t rows = args.input.shape[0], kept = k < encoder.columns ? k : encoder.columns;
  launch(equal_offsets, {.blocks = rows / kTileThreads + 1, .threads = kTileThreads}, stream, rows, kept,
         out.row_offsets.data);
  if (kept == 0) return;
  const Tops tops{.lists = scratch.selected,
                  .k = kept,
                  .scale = data_or_null(args.selection_scale),
                  .eligible = nullptr,
                  .lowest = scratch.lowest};
  const Tops beside = tops_beside(args, scratch);
  for (int64_t first = 0; first < rows; first += scratch.tiles.rows) {
    const int64_t count = rows - first < scratch.tiles.rows ? rows - first : scratch.tiles.rows;
    each_tile(args, encoder, scratch, first, count, stream, [&](const EncodeTile& tile) {
      take_tops(tile, tops, stream);
      take_beside(args, tile, beside, stream);
    });
    launch(emit_row, {.blocks = count, .threads = kTileThreads}, stream, tops, numbers_of(args), first,
           out.latents.data, out.values.data);
    emit_beside(args, beside, first, count, stream);
  }
}

}  // namespace orthant::kernels::cuda
