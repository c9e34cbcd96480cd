// Each block sorts the entries of kLatents neighbouring latents: it goes through the rows in tiles, lists the
// entries of a tile in the order of rows, and one thread for each latent picks its own from the list. First
// all are counted, then the counts become offsets, then the entries are placed.
#include "kernels/codes/codes.cuh"
#include "kernels/codes/latent_step_cuda.h"
#include "kernels/cuda/block_prefix.cuh"

namespace orthant::kernels::cuda {
namespace {

constexpr int kLatents = 64;    // of a block
constexpr int kTileRows = 256;  // one a thread
constexpr int kListed = 1024;
constexpr int kScanThreads = 1024;

// Part of a tile's entries, rows ascending.
struct EntryList {
  int64_t entries[kListed];
  int32_t rows[kListed];
  int32_t latents[kListed];
};

// One thread's latent: where its next entry goes.
struct Cursor {
  int64_t latent;  // global; -1: the thread has none
  int64_t place;
};

// Where placed entries go; null rows: entries are only counted.
struct Places {
  int32_t* rows;
  int64_t* entries;
  int64_t capacity;
};

__device__ void list_row(const CodesPointers& codes, int64_t row, Entries entries, int64_t position,
                         EntryList& list) {
  for (int64_t e = entries.first; e < entries.last; ++e, ++position) {
    if (position < 0 || position >= kListed) continue;
    list.entries[position] = e;
    list.rows[position] = static_cast<int32_t>(row);
    list.latents[position] = codes.latents[e];
  }
}

__device__ void take_own(const EntryList& list, int listed, const Places& places, Cursor& cursor) {
  if (cursor.latent < 0) return;
  for (int i = 0; i < listed; ++i) {
    if (list.latents[i] != cursor.latent) continue;
    if (places.rows != nullptr && cursor.place < places.capacity) {
      places.rows[cursor.place] = list.rows[i];
      places.entries[cursor.place] = list.entries[i];
    }
    ++cursor.place;
  }
}

__device__ void visit_entries(const CodesPointers& codes, int64_t rows, int64_t first_latent,
                              int64_t last_latent, const Places& places, Cursor& cursor) {
  EntryList& list = block_shared<EntryList>();
  for (int64_t tile = 0; tile < rows; tile += kTileRows) {
    const int64_t row = tile + threadIdx.x;
    Entries entries{0, 0};
    if (row < rows) entries = row_entries(codes, row, first_latent, last_latent);
    const Prefix<int> prefix = block_prefix(static_cast<int>(entries.last - entries.first));
    for (int first = 0; first < prefix.total; first += kListed) {
      list_row(codes, row, entries, prefix.before - first, list);
      __syncthreads();
      take_own(list, prefix.total - first < kListed ? prefix.total - first : kListed, places, cursor);
      __syncthreads();
    }
  }
}

struct LatentRange {
  int64_t first;
  int64_t last;
};

__device__ LatentRange latents_of_block(int64_t local_latents) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kLatents;
  return {first, first + kLatents < local_latents ? first + kLatents : local_latents};
}

// counts[i] of local latent i.
__global__ void __launch_bounds__(kTileRows)
    count_entries(CodesPointers codes, int64_t rows, int64_t first_latent, int64_t local_latents,
                  int64_t* counts) {
  const LatentRange range = latents_of_block(local_latents);
  const int64_t own = range.first + threadIdx.x;
  Cursor cursor{own < range.last ? first_latent + own : -1, 0};
  visit_entries(codes, rows, first_latent + range.first, first_latent + range.last, {}, cursor);
  if (own < range.last) counts[own] = cursor.place;
}

// offsets[i + 1] holds the count of latent i, and afterwards where the entries of latent i + 1 begin.
__global__ void __launch_bounds__(kScanThreads) counts_to_offsets(int64_t local_latents, int64_t* offsets) {
  int64_t before = 0;
  for (int64_t first = 0; first < local_latents; first += kScanThreads) {
    const int64_t i = first + threadIdx.x;
    const int64_t count = i < local_latents ? offsets[i + 1] : 0;
    const Prefix<int64_t> prefix = block_prefix(count);
    if (i < local_latents) offsets[i + 1] = before + prefix.before + count;
    before += prefix.total;
  }
  if (threadIdx.x == 0) offsets[0] = 0;
}

__global__ void __launch_bounds__(kTileRows)
    place_entries(CodesPointers codes, int64_t rows, int64_t first_latent, int64_t local_latents,
                  const int64_t* offsets, Places places) {
  const LatentRange range = latents_of_block(local_latents);
  const int64_t own = range.first + threadIdx.x;
  Cursor cursor{-1, 0};
  if (own < range.last) cursor = {first_latent + own, offsets[own]};
  visit_entries(codes, rows, first_latent + range.first, first_latent + range.last, places, cursor);
}

}  // namespace

void sort_by_latent(CodesView codes, int64_t first_latent, LatentOrderView order, Stream& stream) {
  const int64_t local_latents = order.offsets.shape[0] - 1, rows = codes.rows();
  const int64_t capacity =
      order.rows.shape[0] < order.entries.shape[0] ? order.rows.shape[0] : order.entries.shape[0];
  const LaunchShape shape{.blocks = (local_latents + kLatents - 1) / kLatents, .threads = kTileRows};
  launch(count_entries, shape, stream, pointers_of(codes), rows, first_latent, local_latents,
         order.offsets.data + 1);
  launch(counts_to_offsets, {.blocks = 1, .threads = kScanThreads}, stream, local_latents,
         order.offsets.data);
  launch(place_entries, shape, stream, pointers_of(codes), rows, first_latent, local_latents,
         order.offsets.data, Places{order.rows.data, order.entries.data, capacity});
}

}  // namespace orthant::kernels::cuda
