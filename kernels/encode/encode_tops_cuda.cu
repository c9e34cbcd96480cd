// A block of threads has one row and its list in shared memory. Elements above the row's threshold join the
// list in order; where it is full, the k-th largest rank is found two bits at a time, ranks below it leave,
// of those equal to it the latents that come last do, and it becomes the threshold.
#include <string>

#include "kernels/cuda/block_prefix.cuh"
#include "kernels/encode/encode_tile.cuh"
#include "kernels/encode/encode_tops_cuda.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kSpare = 2 * kChunk;  // room of the list beyond k

// Ranks are bits of positive numbers or NaN without their sign: they order as the numbers do, NaN above all
// (rank_key.h). 0: no candidate.
struct Candidate {
  uint32_t rank;
  int32_t latent;
  float value;
};

struct List {
  uint32_t* ranks;
  int32_t* latents;
  float* values;

  __device__ Candidate at(int i) const { return {ranks[i], latents[i], values[i]}; }
  __device__ void put(int i, Candidate candidate) const {
    ranks[i] = candidate.rank;
    latents[i] = candidate.latent;
    values[i] = candidate.value;
  }
};

constexpr int64_t kEntryBytes = 12;

// The row's list in device memory, or the block's for `room` entries.
__device__ List list_of(const RowLists& lists, int64_t row) {
  const int64_t at = row * lists.room;
  return {lists.ranks + at, lists.latents + at, lists.values + at};
}
__device__ List shared_list(int room) {
  uint32_t* const memory = dynamic_shared<uint32_t>();
  return {memory, reinterpret_cast<int32_t*>(memory + room), reinterpret_cast<float*>(memory + 2 * room)};
}

__device__ void copy_list(const List& from, int count, const List& into) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kTileThreads) into.put(i, from.at(i));
}

// The largest rank that at least k of the entries reach; 0 < k <= count. Collective for the block.
__device__ uint32_t kth_rank(const List& list, int count, int k) {
  constexpr int kFieldBits = 16;  // of a sum: counts are below 2^16
  uint32_t reached = 0;
  for (int shift = 30; shift >= 0; shift -= 2) {
    uint64_t sums = 0;
    for (int i = static_cast<int>(threadIdx.x); i < count; i += kTileThreads) {
      const uint32_t rank = list.ranks[i];
      for (uint32_t digit = 1; digit <= 3; ++digit) {
        const uint64_t reaches = rank >= (reached | digit << shift) ? 1 : 0;
        sums += reaches << (kFieldBits * (digit - 1));
      }
    }
    sums = block_sum(sums);
    uint32_t digit = 0;
    while (digit < 3 && static_cast<int>(sums >> (kFieldBits * digit) & 0xffff) >= k) ++digit;
    reached |= digit << shift;
  }
  return reached;
}

// Leaves those above `rank` and the first of those equal to it, k in all. Collective for the block.
__device__ void keep_from(const List& list, int count, int k, uint32_t rank) {
  int above = 0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kTileThreads) {
    above += list.ranks[i] > rank ? 1 : 0;
  }
  const int equals = k - block_sum(above);
  int kept = 0, equal = 0;
  for (int first = 0; first < count; first += kTileThreads) {
    const int i = first + static_cast<int>(threadIdx.x);
    const Candidate own = i < count ? list.at(i) : Candidate{};
    const bool is_equal = i < count && own.rank == rank;
    const Prefix<int> before = block_prefix(is_equal ? 1 : 0);
    const bool keeps = i < count && (own.rank > rank || (is_equal && equal + before.before < equals));
    const Prefix<int> place = block_prefix(keeps ? 1 : 0);
    if (keeps) list.put(kept + place.before, own);
    kept += place.total;
    equal += before.total;
  }
}

// Drops what k others beat; returns how many remain. Collective for the block.
__device__ int tighten(const List& list, int count, int k, uint32_t& threshold) {
  __syncthreads();
  if (count <= k) return count;
  threshold = kth_rank(list, count, k);
  keep_from(list, count, k, threshold);
  __syncthreads();
  return k;
}

__device__ bool is_eligible(const Tops& tops, int64_t latent) {
  return tops.eligible == nullptr || (tops.eligible[latent / 64] >> (latent % 64) & 1) != 0;
}

__device__ Candidate candidate_of(const EncodeTile& tile, const Tops& tops, int64_t row, int64_t latent,
                                  float product) {
  const float activation = tile_activation(tile, product, latent);
  if (tops.lowest != nullptr && latent < tops.k) tops.lowest[row * tops.k + latent] = activation;
  const float rank = tops.scale == nullptr ? activation : activation * tops.scale[latent];
  const uint32_t bits = is_eligible(tops, latent) ? bits_of(rank) & 0x7fffffffu : 0;
  return {bits, static_cast<int32_t>(latent), activation};
}

// Appends the elements of a chunk that are above the threshold; returns the new count. Collective for the
// block.
__device__ int append(const EncodeTile& tile, const Tops& tops, int64_t row, int64_t chunk,
                      uint32_t threshold, const List& list, int count) {
  const TileElements elements = tile_elements(tile, row, chunk);
  Candidate found[4];
  int own = 0;
  for (int i = 0; i < 4; ++i) {
    found[i] = {};
    if (i < elements.count) {
      const int64_t latent = tile.first_latent + elements.first + i;
      found[i] = candidate_of(tile, tops, row, latent, elements.products.of[i]);
    }
    own += found[i].rank > threshold ? 1 : 0;
  }
  const Prefix<int> place = block_prefix(own);
  int at = count + place.before;
  for (int i = 0; i < 4; ++i) {
    if (found[i].rank > threshold) list.put(at++, found[i]);
  }
  return count + place.total;
}

__global__ void __launch_bounds__(kTileThreads) take_row(EncodeTile tile, Tops tops) {
  const int64_t row = blockIdx.x;
  const int k = static_cast<int>(tops.k), room = k + kSpare;
  const List list = shared_list(room), resting = list_of(tops.lists, row);
  const bool is_first = tile.first_latent == 0;
  int count = is_first ? 0 : static_cast<int>(tops.lists.counts[row]);
  uint32_t threshold = is_first ? 0 : tops.lists.thresholds[row];
  copy_list(resting, count, list);
  for (int64_t chunk = 0; chunk < tile.latents; chunk += kChunk) {
    if (count > room - kChunk) count = tighten(list, count, k, threshold);
    count = append(tile, tops, row, chunk, threshold, list, count);
  }
  count = tighten(list, count, k, threshold);
  copy_list(list, count, resting);
  if (threadIdx.x == 0) {
    tops.lists.counts[row] = count;
    tops.lists.thresholds[row] = threshold;
  }
}

__global__ void __launch_bounds__(kTileThreads)
    emit_row_beside(RowLists lists, int64_t k, int64_t first_row, int32_t* counts, int32_t* latents,
                    float* values) {
  const int64_t row = blockIdx.x, to = first_row + row;
  const List list = list_of(lists, row);
  const int count = static_cast<int>(lists.counts[row]);
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kTileThreads) {
    latents[to * k + i] = list.latents[i];
    values[to * k + i] = list.values[i];
  }
  if (threadIdx.x == 0) counts[to] = count;
}

void require_selectable(int64_t k) {
  if (k <= kMostSelected) return;
  throw Error(ExitCode::kConfig,
              {.problem = "cannot select " + std::to_string(k) + " latents a row on CUDA",
               .why = "the shared memory of a block holds " + std::to_string(kMostSelected),
               .suggestion = "Select fewer, or by a threshold, or use --device=cpu."});
}

}  // namespace

void take_tops(const EncodeTile& tile, const Tops& tops, Stream& stream) {
  require_selectable(tops.k);
  launch(take_row,
         {.blocks = tile.rows, .threads = kTileThreads, .shared_bytes = (tops.k + kSpare) * kEntryBytes},
         stream, tile, tops);
}

Tops tops_beside(const EncodeArgs& args, const EncodeScratch& scratch) {
  if (args.beside == nullptr) return {};
  return {.lists = scratch.beside,
          .k = args.beside->k(),
          .scale = nullptr,
          .eligible = args.beside->eligible.data,
          .lowest = nullptr};
}

void take_beside(const EncodeArgs& args, const EncodeTile& tile, const Tops& tops, Stream& stream) {
  if (args.beside != nullptr) take_tops(tile, tops, stream);
}

void emit_beside(const EncodeArgs& args, const Tops& tops, int64_t first_row, int64_t rows, Stream& stream) {
  if (args.beside == nullptr) return;
  launch(emit_row_beside, {.blocks = rows, .threads = kTileThreads}, stream, tops.lists, tops.k, first_row,
         args.beside->counts.data, args.beside->latents.data, args.beside->values.data);
}

}  // namespace orthant::kernels::cuda
