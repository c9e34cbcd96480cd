// What reducing codes in place needs beside them on CUDA; nothing on the CPU. Allocated once and used for
// every step. Not thread-safe.
#pragma once

#include "runtime/device/tensor.h"

namespace orthant::kernels {

namespace cuda {

// Entries that a block of threads looks at together.
inline constexpr int64_t kSelectionSpan = 1024;

// Views of a SelectionScratch. The entries, their keys and the bins lie in one place: none is needed while
// another is.
struct SelectionRoom {
  int64_t entries = 0;
  int32_t* latents = nullptr;  // [entries]
  float* values = nullptr;     // [entries]
  int64_t* keys = nullptr;     // [entries]
  int32_t* bins = nullptr;     // [histograms, kMostBins]
  int64_t* places = nullptr;   // [spans] where the entries that each keeps begin

  static constexpr int64_t kMostBins = 2048;

  // One more than the entries fill: its place is the end of all.
  [[nodiscard]] static constexpr int64_t spans_of(int64_t entries) { return filled_spans(entries) + 1; }
  // Enough for a large device.
  [[nodiscard]] static constexpr int64_t histograms_of(int64_t entries) {
    const int64_t spans = filled_spans(entries);
    return spans < 256 ? spans : 256;
  }
  // Room for all but the places, in keys.
  [[nodiscard]] static constexpr int64_t keys_of(int64_t entries) {
    return filled_spans(entries) * kSelectionSpan;
  }

 private:
  static constexpr int64_t filled_spans(int64_t entries) {
    return entries == 0 ? 1 : (entries + kSelectionSpan - 1) / kSelectionSpan;
  }
};
static_assert(SelectionRoom::kMostBins * sizeof(int32_t) <= kSelectionSpan * sizeof(int64_t),
              "the bins of a histogram lie in the place of the keys of a span");

[[nodiscard]] inline SelectionRoom room_in(int64_t entries, int64_t* keys, int64_t* places) {
  SelectionRoom room;
  room.entries = entries;
  room.latents = reinterpret_cast<int32_t*>(keys);
  room.values = reinterpret_cast<float*>(room.latents + entries);
  room.keys = keys;
  room.bins = room.latents;
  room.places = places;
  return room;
}

}  // namespace cuda

class SelectionScratch {
 public:
  static constexpr int64_t kMostBins = cuda::SelectionRoom::kMostBins;

  SelectionScratch() = default;
  // For codes of at most `entries` of capacity.
  SelectionScratch(Memory& memory, int64_t entries) : entries_(entries) {
    if (memory.device().kind == DeviceKind::kCpu) return;
    keys_ = Tensor<int64_t, 1>(memory, "selection", {cuda::SelectionRoom::keys_of(entries)});
    places_ = Tensor<int64_t, 1>(memory, "selection", {cuda::SelectionRoom::spans_of(entries)});
  }
  [[nodiscard]] int64_t entries() const { return entries_; }
  [[nodiscard]] cuda::SelectionRoom room() { return cuda::room_in(entries_, keys_.data(), places_.data()); }

 private:
  int64_t entries_ = 0;
  Tensor<int64_t, 1> keys_;
  Tensor<int64_t, 1> places_;
};

}  // namespace orthant::kernels
