// Blocks of threads take spans of the entries in turn and count them in shared memory, where every thread
// goes through the whole span and counts for its own bins; the counts of all blocks are added afterwards.
#include "kernels/codes/codes.cuh"
#include "kernels/codes/compact_codes_cuda.h"
#include "kernels/codes/select_batch_cuda.h"
#include "kernels/cuda/block_prefix.cuh"
#include "kernels/scalar.h"
#include "runtime/device/pinned_buffer.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kSpan = static_cast<int>(kSelectionSpan);
constexpr int kThreads = 256;
constexpr int kWholeThreads = 1024;
constexpr uint16_t kNoBin = 0xffff;

struct SpanBins {
  uint16_t of[kSpan];
};
struct BinCounts {
  int32_t of[SelectionScratch::kMostBins];
};

__device__ uint32_t ranked_bits(float value) {
  return bits_of(value) & 0x7fffffffu;
}

__device__ uint16_t bin_of(float value, BitField field, uint32_t known) {
  const uint32_t bits = ranked_bits(value);
  const int known_shift = field.shift + field.width;
  if (bits >> known_shift != known >> known_shift) return kNoBin;
  return static_cast<uint16_t>(bits >> field.shift & ((1u << field.width) - 1));
}

__global__ void __launch_bounds__(kThreads)
    count_bins(CodesPointers codes, int64_t rows, BitField field, uint32_t known, int32_t* counts) {
  SpanBins& span = block_shared<SpanBins>();
  BinCounts& own = block_shared<BinCounts>();
  const int thread = static_cast<int>(threadIdx.x), bins = 1 << field.width;
  const int64_t end = codes.row_offsets[rows], stride = static_cast<int64_t>(gridDim.x) * kSpan;
  for (int bin = thread; bin < bins; bin += kThreads) own.of[bin] = 0;
  for (int64_t first = codes.row_offsets[0] + static_cast<int64_t>(blockIdx.x) * kSpan; first < end;
       first += stride) {
    __syncthreads();
    for (int i = thread; i < kSpan; i += kThreads) {
      span.of[i] = first + i < end ? bin_of(codes.values[first + i], field, known) : kNoBin;
    }
    __syncthreads();
    for (int i = 0; i < kSpan; ++i) {
      const uint16_t bin = span.of[i];
      if (bin % kThreads == thread && bin != kNoBin) ++own.of[bin];
    }
  }
  for (int bin = thread; bin < bins; bin += kThreads) {
    counts[static_cast<int64_t>(blockIdx.x) * bins + bin] = own.of[bin];
  }
}

__global__ void __launch_bounds__(kThreads)
    add_counts(const int32_t* counts, int64_t histograms, int64_t bins, int64_t room, int64_t* histogram) {
  const int64_t bin = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (bin >= room) return;
  int64_t sum = 0;
  for (int64_t i = 0; i < histograms && bin < bins; ++i) sum += counts[i * bins + bin];
  histogram[bin] = sum;
}

// The row that has entry `entry`.
__device__ int64_t row_of(const int64_t* row_offsets, int64_t rows, int64_t entry) {
  int64_t low = 0, high = rows;
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    if (row_offsets[middle] <= entry) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

struct Equals {
  CodesPointers codes;
  int64_t rows;
  uint32_t bits;
  int64_t first_row;

  __device__ int64_t key(int64_t entry) const {
    const int64_t row = first_row + row_of(codes.row_offsets, rows, entry);
    return row << 32 | codes.latents[entry];
  }
};

// One block: equal entries are few.
__global__ void __launch_bounds__(kWholeThreads) list_keys(Equals equals, int64_t room, int64_t* keys) {
  const int64_t end = equals.codes.row_offsets[equals.rows];
  int64_t count = 0;
  for (int64_t first = equals.codes.row_offsets[0]; first < end; first += kWholeThreads) {
    const int64_t e = first + threadIdx.x;
    const bool is_equal = e < end && ranked_bits(equals.codes.values[e]) == equals.bits;
    const Prefix<int> place = block_prefix(is_equal ? 1 : 0);
    if (is_equal && count + place.before < room) keys[count + place.before] = equals.key(e);
    count += place.total;
  }
}

__global__ void __launch_bounds__(kThreads) drop_below(Equals equals, int64_t last_key, int32_t* latents) {
  const int64_t end = equals.codes.row_offsets[equals.rows];
  const int64_t first = equals.codes.row_offsets[0] + static_cast<int64_t>(blockIdx.x) * kSpan;
  for (int64_t e = first + threadIdx.x; e < first + kSpan && e < end; e += kThreads) {
    const uint32_t own = ranked_bits(equals.codes.values[e]);
    if (own > equals.bits || (own == equals.bits && equals.key(e) <= last_key)) continue;
    latents[e] = kDropped;
  }
}

// The smallest over the lanes of a warp, on each of them.
__device__ float warp_smallest(float value) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    const float other = warp_shuffle_xor(value, mask);
    value = other < value ? other : value;
  }
  return value;
}

// One block: it is asked for only where everything is kept.
__global__ void __launch_bounds__(kWholeThreads)
    find_smallest(CodesPointers codes, int64_t rows, float* found) {
  const float infinity = float_of(0x7f800000u);
  const int64_t end = codes.row_offsets[rows];
  float smallest = infinity;
  for (int64_t e = codes.row_offsets[0] + threadIdx.x; e < end; e += kWholeThreads) {
    smallest = codes.values[e] < smallest ? codes.values[e] : smallest;
  }
  WarpValues<float>& of_warps = block_shared<WarpValues<float>>();
  smallest = warp_smallest(smallest);
  if (threadIdx.x % kWarp == 0) of_warps.of[threadIdx.x / kWarp] = smallest;
  __syncthreads();
  smallest = warp_smallest(of_warps.of[threadIdx.x % kWarp]);
  if (threadIdx.x == 0) *found = smallest;
}
static_assert(kWholeThreads == kWarp * kWarp);

Equals equals_of(const CodesView& codes, uint32_t bits, int64_t first_row) {
  return {pointers_of(codes), codes.rows(), bits, first_row};
}

template <typename T>
void read(const T* from, int64_t count, T* into, Stream& stream) {
  copy_in_order(into, from, count * static_cast<int64_t>(sizeof(T)), stream);
}

}  // namespace

void count_bits(CodesView codes, BitField field, uint32_t known, const SelectionRoom& room,
                Vector<int64_t> histogram, Stream& stream) {
  const int64_t histograms = SelectionRoom::histograms_of(codes.capacity()), all = histogram.shape[0];
  launch(count_bins, {.blocks = histograms, .threads = kThreads}, stream, pointers_of(codes), codes.rows(),
         field, known, room.bins);
  launch(add_counts, {.blocks = (all + kThreads - 1) / kThreads, .threads = kThreads}, stream, room.bins,
         histograms, field.bins(), all, histogram.data);
}

void list_equal(CodesView codes, uint32_t bits, int64_t first_row, const SelectionRoom& room,
                std::span<int64_t> keys, Stream& stream) {
  launch(list_keys, {.blocks = 1, .threads = kWholeThreads}, stream, equals_of(codes, bits, first_row),
         room.entries, room.keys);
  read(room.keys, static_cast<int64_t>(keys.size()), keys.data(), stream);
}

void keep_from(CodesView codes, uint32_t bits, int64_t first_row, int64_t last_key, const SelectionRoom& room,
               Stream& stream) {
  launch(drop_below, {.blocks = SelectionRoom::spans_of(codes.capacity()), .threads = kThreads}, stream,
         equals_of(codes, bits, first_row), last_key, codes.latents.data);
  compact_codes(codes, room, stream);
}

float smallest_value(CodesView codes, const SelectionRoom& room, Stream& stream) {
  launch(find_smallest, {.blocks = 1, .threads = kWholeThreads}, stream, pointers_of(codes), codes.rows(),
         reinterpret_cast<float*>(room.places));
  float smallest = 0.0f;
  read(reinterpret_cast<const float*>(room.places), 1, &smallest, stream);
  return smallest;
}

}  // namespace orthant::kernels::cuda
