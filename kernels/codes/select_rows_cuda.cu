// A block of threads has one row: it sorts the row's ranks in shared memory, or finds the k-th largest of
// what all shards sent of it two bits at a time, or drops what is below.
#include "kernels/codes/codes.cuh"
#include "kernels/codes/compact_codes_cuda.h"
#include "kernels/codes/select_rows_cuda.h"
#include "kernels/cuda/block_prefix.cuh"
#include "kernels/scalar.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kMostSortThreads = 256;
constexpr int kCutoffThreads = 128;
constexpr int kKeepThreads = 64;
constexpr uint32_t kInfinity = 0x7f800000u;

struct Ranked {
  CodesPointers codes;
  int64_t first_latent;
  const float* scale;  // null: 1

  __device__ float rank(int64_t entry) const {
    const float value = codes.values[entry];
    const float rank = scale == nullptr ? value : value * scale[codes.latents[entry] - first_latent];
    return rank != rank ? float_of(kInfinity) : rank;
  }
};

Ranked pointers_of(const RankedCodes& ranked) {
  return {pointers_of(ranked.codes), ranked.first_latent,
          ranked.scale.shape[0] == 0 ? nullptr : ranked.scale.data};
}

__device__ int64_t row_of_block(const int64_t* rows) {
  return rows == nullptr ? static_cast<int64_t>(blockIdx.x) : rows[blockIdx.x];
}

// Largest first; `count` is a power of two. Collective for the block.
__device__ void sort_descending(float* ranks, int count) {
  for (int size = 2; size <= count; size *= 2) {
    for (int distance = size / 2; distance > 0; distance /= 2) {
      __syncthreads();
      for (int i = static_cast<int>(threadIdx.x); i < count / 2; i += static_cast<int>(blockDim.x)) {
        const int low = i / distance * 2 * distance + i % distance, high = low + distance;
        const float a = ranks[low], b = ranks[high];
        const bool descends = (low & size) == 0;
        if (descends == (a < b) && a != b) {
          ranks[low] = b;
          ranks[high] = a;
        }
      }
    }
  }
  __syncthreads();
}

__global__ void __launch_bounds__(kMostSortThreads)
    sort_row(Ranked ranked, const int64_t* rows, int room, int64_t width, float* sent) {
  float* const ranks = dynamic_shared<float>();
  const int64_t row = row_of_block(rows), begin = ranked.codes.row_offsets[row];
  const int64_t count = ranked.codes.row_offsets[row + 1] - begin;
  for (int i = static_cast<int>(threadIdx.x); i < room; i += static_cast<int>(blockDim.x)) {
    ranks[i] = i < count ? ranked.rank(begin + i) : -float_of(kInfinity);
  }
  sort_descending(ranks, room);
  float* const into = sent + static_cast<int64_t>(blockIdx.x) * width;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) into[i] = ranks[i];
}

// Orders like the number; the two zeros are one.
__device__ uint32_t key_of(float rank) {
  const uint32_t bits = bits_of(rank + 0.0f);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}
__device__ float rank_of_key(uint32_t key) {
  return float_of((key >> 31) != 0 ? key & 0x7fffffffu : ~key);
}

// What all shards sent of one row, as one list.
struct RowRanks {
  const float* first;
  int64_t stride;  // from one shard's to the next
  int64_t width;
  int64_t count;  // of all shards

  __device__ float at(int64_t i) const { return first[i / width * stride + i % width]; }
};

// The key that exactly k of the ranks reach, or more where it has ties; k <= count. Collective for the block.
__device__ uint32_t kth_key(const RowRanks& ranks, int64_t k) {
  constexpr int kFieldBits = 21;  // of a sum
  uint32_t reached = 0;
  for (int shift = 30; shift >= 0; shift -= 2) {
    uint64_t sums = 0;
    for (int64_t i = threadIdx.x; i < ranks.count; i += kCutoffThreads) {
      const uint32_t key = key_of(ranks.at(i));
      for (uint32_t digit = 1; digit <= 3; ++digit) {
        const uint64_t reaches = key >= (reached | digit << shift) ? 1 : 0;
        sums += reaches << (kFieldBits * (digit - 1));
      }
    }
    sums = block_sum(sums);
    uint32_t digit = 0;
    while (digit < 3 && static_cast<int64_t>(sums >> (kFieldBits * digit) & 0x1fffff) >= k) ++digit;
    reached |= digit << shift;
  }
  return reached;
}

struct RowCounts {
  int64_t above = 0, ties_before = 0, ties_here = 0;
};

__device__ RowCounts counts_of(const RowRanks& ranks, float cutoff, int64_t shard) {
  RowCounts counts;
  for (int64_t i = threadIdx.x; i < ranks.count; i += kCutoffThreads) {
    const float rank = ranks.at(i);
    const int64_t from = i / ranks.width;
    counts.above += rank > cutoff ? 1 : 0;
    counts.ties_before += rank == cutoff && from < shard ? 1 : 0;
    counts.ties_here += rank == cutoff && from == shard ? 1 : 0;
  }
  return {block_sum(counts.above), block_sum(counts.ties_before), block_sum(counts.ties_here)};
}

// Whether an entry that its shard has not sent may reach the cutoff. Collective for the block.
__device__ bool may_lack(const RowRanks& ranks, float cutoff, int64_t k, const int64_t* candidates) {
  int lacking = 0;
  for (int64_t s = threadIdx.x; s * ranks.width < ranks.count; s += kCutoffThreads) {
    const bool has_unsent = (candidates[s] < k ? candidates[s] : k) > ranks.width;
    lacking += has_unsent && ranks.at((s + 1) * ranks.width - 1) >= cutoff ? 1 : 0;
  }
  return block_sum(lacking) > 0;
}

struct CutoffPointers {
  float* cutoff;
  int64_t* ties;
  int32_t* settled;
};

__global__ void __launch_bounds__(kCutoffThreads)
    settle_row(const float* sent, int64_t shards, int64_t width, int64_t k, int64_t shard,
               const int64_t* candidates, const int64_t* rows, CutoffPointers out) {
  const int64_t slot = blockIdx.x, slots = gridDim.x;
  const RowRanks ranks{sent + slot * width, slots * width, width, shards * width};
  int64_t present = 0;
  for (int64_t i = threadIdx.x; i < ranks.count; i += kCutoffThreads) {
    present += ranks.at(i) != -float_of(kInfinity) ? 1 : 0;
  }
  bool is_settled = block_sum(present) >= k;
  const float cutoff = is_settled ? rank_of_key(kth_key(ranks, k)) : 0.0f;
  if (is_settled) is_settled = !may_lack(ranks, cutoff, k, candidates);
  if (threadIdx.x == 0) out.settled[slot] = is_settled ? 1 : 0;
  if (!is_settled) return;
  const RowCounts counts = counts_of(ranks, cutoff, shard);
  if (threadIdx.x != 0) return;
  const int64_t row = row_of_block(rows), left = k - counts.above - counts.ties_before;
  const int64_t ties = left < counts.ties_here ? left : counts.ties_here;
  out.cutoff[row] = cutoff;
  out.ties[row] = ties < 0 ? 0 : ties;
}

__global__ void __launch_bounds__(kKeepThreads)
    drop_row(Ranked ranked, const float* cutoffs, const int64_t* ties, int32_t* latents) {
  const int64_t row = blockIdx.x, end = ranked.codes.row_offsets[row + 1];
  const float cutoff = cutoffs[row];
  int64_t left = ties[row];
  for (int64_t first = ranked.codes.row_offsets[row]; first < end; first += kKeepThreads) {
    const int64_t e = first + threadIdx.x;
    const float rank = e < end ? ranked.rank(e) : 0.0f;
    const Prefix<int> equal = block_prefix(e < end && rank == cutoff ? 1 : 0);
    const bool keeps = rank > cutoff || (rank == cutoff && equal.before < left);
    if (e < end && !keeps) latents[e] = kDropped;
    left -= equal.total;
  }
}

int power_of_two_from(int64_t count) {
  int power = 1;
  while (power < count) power *= 2;
  return power;
}

}  // namespace

void largest_ranks(const RankedCodes& ranked, Vector<const int64_t> rows, Matrix<float> sent,
                   Stream& stream) {
  const int room = power_of_two_from(ranked.k);
  const int threads = room / 2 < kWarp ? kWarp : room / 2 > kMostSortThreads ? kMostSortThreads : room / 2;
  launch(sort_row,
         {.blocks = sent.shape[0],
          .threads = threads,
          .shared_bytes = room * static_cast<int64_t>(sizeof(float))},
         stream, pointers_of(ranked), rows.data, room, sent.shape[1], sent.data);
}

void find_cutoffs(const SentRanks& sent, int64_t k, int64_t shard, Vector<const int64_t> candidates,
                  Vector<const int64_t> rows, RowCutoffs cutoffs, Stream& stream) {
  launch(settle_row, {.blocks = sent.slots, .threads = kCutoffThreads}, stream, sent.ranks.data, sent.shards,
         sent.width, k, shard, candidates.data, rows.data,
         CutoffPointers{cutoffs.cutoff.data, cutoffs.ties.data, cutoffs.settled.data});
}

void keep_ranked(const RankedCodes& ranked, RowCutoffs cutoffs, const SelectionRoom& room, Stream& stream) {
  launch(drop_row, {.blocks = ranked.codes.rows(), .threads = kKeepThreads}, stream, pointers_of(ranked),
         cutoffs.cutoff.data, cutoffs.ties.data, ranked.codes.latents.data);
  compact_codes(ranked.codes, room, stream);
}

}  // namespace orthant::kernels::cuda
