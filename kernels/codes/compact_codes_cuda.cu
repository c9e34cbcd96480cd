// A block of threads has a span of entries: first all count what they keep, then the counts become places,
// then every span is written to its place beside the codes, and back.
#include "kernels/codes/compact_codes_cuda.h"
#include "kernels/cuda/block_prefix.cuh"

namespace orthant::kernels::cuda {
namespace {

constexpr int kEach = 4;  // neighbouring entries of a thread
constexpr int kSpanThreads = static_cast<int>(kSelectionSpan) / kEach;
constexpr int kPlaceThreads = 1024;
constexpr int kRowThreads = 256;
constexpr int kRowsOfBlock = kRowThreads / kWarp;

struct Reduced {
  int64_t* row_offsets;
  int64_t rows;
  int32_t* latents;
  float* values;

  __device__ int64_t begin() const { return row_offsets[0]; }
  __device__ int64_t end() const { return row_offsets[rows]; }
};

__device__ int64_t first_of_thread(const Reduced& codes) {
  return codes.begin() + static_cast<int64_t>(blockIdx.x) * kSelectionSpan +
         static_cast<int64_t>(threadIdx.x) * kEach;
}

__device__ int kept_from(const Reduced& codes, int64_t first, int64_t end) {
  int kept = 0;
  for (int64_t e = first; e < first + kEach; ++e) {
    if (e < end && codes.latents[e] != kDropped) ++kept;
  }
  return kept;
}

__global__ void __launch_bounds__(kSpanThreads) count_span(Reduced codes, int64_t* counts) {
  const int total = block_sum(kept_from(codes, first_of_thread(codes), codes.end()));
  if (threadIdx.x == 0) counts[blockIdx.x] = total;
}

// Counts become the places where the spans begin.
__global__ void __launch_bounds__(kPlaceThreads) place_spans(Reduced codes, int64_t spans, int64_t* places) {
  int64_t before = codes.begin();
  for (int64_t first = 0; first < spans; first += kPlaceThreads) {
    const int64_t span = first + threadIdx.x;
    const Prefix<int64_t> prefix = block_prefix(span < spans ? places[span] : int64_t{0});
    if (span < spans) places[span] = before + prefix.before;
    before += prefix.total;
  }
}

__global__ void __launch_bounds__(kSpanThreads) copy_span(Reduced codes, SelectionRoom into) {
  const int64_t first = first_of_thread(codes), end = codes.end();
  const Prefix<int> kept = block_prefix(kept_from(codes, first, end));
  int64_t at = into.places[blockIdx.x] + kept.before;
  for (int64_t e = first; e < first + kEach && e < end; ++e) {
    if (codes.latents[e] == kDropped) continue;
    into.latents[at] = codes.latents[e];
    into.values[at++] = codes.values[e];
  }
}

// A warp has one row: its end moves to the place of its span and what that keeps before it.
__global__ void __launch_bounds__(kRowThreads) move_ends(Reduced codes, const int64_t* places) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kRowsOfBlock + threadIdx.x / kWarp;
  if (row >= codes.rows) return;
  const int64_t end = codes.row_offsets[row + 1], span = (end - codes.begin()) / kSelectionSpan;
  int kept = 0;
  for (int64_t e = codes.begin() + span * kSelectionSpan + threadIdx.x % kWarp; e < end; e += kWarp) {
    kept += codes.latents[e] != kDropped ? 1 : 0;
  }
  kept = warp_sum(kept);
  if (threadIdx.x % kWarp == 0) codes.row_offsets[row + 1] = places[span] + kept;
}

__global__ void __launch_bounds__(kSpanThreads) copy_back(Reduced codes, SelectionRoom from) {
  const int64_t first = first_of_thread(codes), end = codes.end();
  for (int64_t e = first; e < first + kEach && e < end; ++e) {
    codes.latents[e] = from.latents[e];
    codes.values[e] = from.values[e];
  }
}

}  // namespace

void compact_codes(CodesView view, const SelectionRoom& room, Stream& stream) {
  require(view.capacity() <= room.entries, "the room of a selection is for the capacity of its codes");
  const Reduced codes{view.row_offsets.data, view.rows(), view.latents.data, view.values.data};
  const int64_t spans = SelectionRoom::spans_of(view.capacity());
  const LaunchShape over_spans{.blocks = spans, .threads = kSpanThreads};
  launch(count_span, over_spans, stream, codes, room.places);
  launch(place_spans, {.blocks = 1, .threads = kPlaceThreads}, stream, codes, spans, room.places);
  launch(copy_span, over_spans, stream, codes, room);
  launch(move_ends, {.blocks = (codes.rows + kRowsOfBlock - 1) / kRowsOfBlock, .threads = kRowThreads},
         stream, codes, room.places);
  launch(copy_back, over_spans, stream, codes, room);
}

}  // namespace orthant::kernels::cuda
