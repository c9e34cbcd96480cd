// A block of threads has one row and lists its entries tile by tile; when all tiles have passed, the counts
// tell where the rows of the codes begin, and the lists are copied there. A block of rows in which one
// outgrew its list is multiplied once more, straight to its place.
#include <algorithm>
#include <array>

#include "kernels/cuda/block_prefix.cuh"
#include "kernels/encode/encode_tile.cuh"
#include "kernels/encode/encode_tops_cuda.h"
#include "runtime/device/buffer.h"
#include "runtime/device/pinned_buffer.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kPlaceThreads = 1024;

struct Above {
  float threshold;          // of ranks
  const float* scale;       // [local_latents] or null
  const float* thresholds;  // [local_latents] or null
  LatentNumbers numbers;

  // NaN is above everything.
  __device__ bool has(float activation, int64_t latent) const {
    const float rank = scale == nullptr ? activation : activation * scale[latent];
    if (rank <= threshold) return false;
    return thresholds == nullptr || !(activation <= thresholds[latent]);
  }
};

// Where the entries of row r go: from offsets[r] to offsets[r + 1], or to its list where `offsets` is null.
struct Sink {
  int32_t* latents;
  float* values;
  int64_t room;
  const int64_t* offsets;
};

__global__ void __launch_bounds__(kTileThreads)
    take_row_above(EncodeTile tile, Above above, int64_t* counts, Sink sink) {
  const int64_t row = blockIdx.x;
  const int64_t to = sink.offsets == nullptr ? row * sink.room : sink.offsets[row];
  const int64_t room = sink.offsets == nullptr ? sink.room : sink.offsets[row + 1] - to;
  int64_t count = tile.first_latent == 0 ? 0 : counts[row];
  for (int64_t chunk = 0; chunk < tile.latents; chunk += kChunk) {
    const TileElements elements = tile_elements(tile, row, chunk);
    const int64_t first = tile.first_latent + elements.first;
    float activations[4];
    bool taken[4];
    int own = 0;
    for (int i = 0; i < 4; ++i) {
      activations[i] = i < elements.count ? tile_activation(tile, elements.products.of[i], first + i) : 0.0f;
      taken[i] = i < elements.count && above.has(activations[i], first + i);
      own += taken[i] ? 1 : 0;
    }
    const Prefix<int> place = block_prefix(own);
    int64_t at = count + place.before;
    for (int i = 0; i < 4; ++i) {
      if (taken[i] && at < room) {
        sink.latents[to + at] = above.numbers.of(first + i);
        sink.values[to + at] = activations[i];
      }
      at += taken[i] ? 1 : 0;
    }
    count += place.total;
  }
  __syncthreads();
  if (threadIdx.x == 0) counts[row] = count;
}

// offsets[r + 1] = offsets[r] + counts[r]; offsets[0] is given, or 0 at the start of the codes. `outgrown`
// becomes the number of rows with more than `room` entries.
__global__ void __launch_bounds__(kPlaceThreads)
    place_rows(const int64_t* counts, int64_t rows, int64_t room, bool at_start, int64_t* offsets,
               int32_t* outgrown) {
  int64_t before = at_start ? 0 : offsets[0];
  int large = 0;
  for (int64_t first = 0; first < rows; first += kPlaceThreads) {
    const int64_t row = first + threadIdx.x;
    const int64_t count = row < rows ? counts[row] : 0;
    large += count > room ? 1 : 0;
    const Prefix<int64_t> prefix = block_prefix(count);
    if (row < rows) offsets[row + 1] = before + prefix.before + count;
    before += prefix.total;
  }
  large = block_sum(large);
  if (threadIdx.x == 0) {
    *outgrown = large;
    if (at_start) offsets[0] = 0;
  }
}

__global__ void __launch_bounds__(kTileThreads)
    copy_row(RowLists lists, const int64_t* offsets, int64_t capacity, int32_t* latents, float* values) {
  const int64_t row = blockIdx.x, from = row * lists.room, to = offsets[row], count = lists.counts[row];
  if (count > lists.room || to + count > capacity) return;
  for (int64_t i = threadIdx.x; i < count; i += kTileThreads) {
    latents[to + i] = lists.latents[from + i];
    values[to + i] = lists.values[from + i];
  }
}

// One encode: what its blocks of rows share.
struct Encoding {
  const EncodeArgs& args;
  const DenseWeights& encoder;
  const EncodeScratch& scratch;
  const Above above;
  const CodesView out;
  Stream& stream;

  [[nodiscard]] int64_t rows_from(int64_t first) const {
    return std::min(args.input.shape[0] - first, scratch.tiles.rows);
  }

  void list_block(int64_t first, int32_t* outgrown) const {
    const int64_t rows = rows_from(first);
    const RowLists& lists = scratch.selected;
    const Tops beside = tops_beside(args, scratch);
    each_tile(args, encoder, scratch, first, rows, stream, [&](const EncodeTile& tile) {
      launch(take_row_above, {.blocks = rows, .threads = kTileThreads}, stream, tile, above, lists.counts,
             Sink{lists.latents, lists.values, lists.room, nullptr});
      take_beside(args, tile, beside, stream);
    });
    emit_beside(args, beside, first, rows, stream);
    int64_t* const offsets = out.row_offsets.data + first;
    launch(place_rows, {.blocks = 1, .threads = kPlaceThreads}, stream, lists.counts, rows, lists.room,
           first == 0, offsets, outgrown);
    launch(copy_row, {.blocks = rows, .threads = kTileThreads}, stream, lists, offsets, out.capacity(),
           out.latents.data, out.values.data);
  }

  void write_block(int64_t first) const {
    const int64_t rows = rows_from(first);
    each_tile(args, encoder, scratch, first, rows, stream, [&](const EncodeTile& tile) {
      launch(take_row_above, {.blocks = rows, .threads = kTileThreads}, stream, tile, above,
             scratch.selected.counts,
             Sink{out.latents.data, out.values.data, 0, out.row_offsets.data + first});
    });
  }

  template <typename T>
  [[nodiscard]] T read(const T* from) const {
    T value{};
    copy_in_order(&value, from, sizeof value, stream);
    return value;
  }

  // Blocks from row `first` on, up to a window of them; returns the entries of all rows so far.
  [[nodiscard]] int64_t run_window(int64_t first) const {
    using Outgrown = std::array<int32_t, EncodeScratch::kWindow>;
    const int64_t end = std::min(args.input.shape[0], first + EncodeScratch::kWindow * scratch.tiles.rows);
    int32_t* outgrown = scratch.outgrown;
    for (int64_t row = first; row < end; row += scratch.tiles.rows) list_block(row, outgrown++);
    const int64_t entries = read(out.row_offsets.data + end);
    if (entries > out.capacity()) return entries;
    const Outgrown large = read(reinterpret_cast<const Outgrown*>(scratch.outgrown));
    for (int64_t row = first, block = 0; row < end; row += scratch.tiles.rows, ++block) {
      if (large[static_cast<size_t>(block)] > 0) write_block(row);
    }
    return entries;
  }
};

}  // namespace

int64_t encode_above(const EncodeArgs& args, const DenseWeights& encoder, float threshold,
                     Vector<const float> thresholds, const EncodeScratch& scratch, CodesView out,
                     Stream& stream) {
  const Encoding encoding{
      args,    encoder,
      scratch, {threshold, data_or_null(args.selection_scale), data_or_null(thresholds), numbers_of(args)},
      out,     stream};
  const int64_t rows = args.input.shape[0];
  if (rows == 0) {
    zero_bytes(out.row_offsets.data, stream.device(), sizeof(int64_t));
    return 0;
  }
  int64_t entries = 0;
  for (int64_t first = 0; first < rows; first += EncodeScratch::kWindow * scratch.tiles.rows) {
    entries = encoding.run_window(first);
  }
  return entries;
}

}  // namespace orthant::kernels::cuda
