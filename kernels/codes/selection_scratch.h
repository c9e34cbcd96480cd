// What reducing codes in place needs beside them on CUDA; nothing on the CPU. Allocated once and used for
// every step. Not thread-safe.
#pragma once

#include "runtime/device/tensor.h"

namespace orthant::kernels {

namespace cuda {

// Entries that a block of threads looks at together.
inline constexpr int64_t kSelectionSpan = 1024;

// Views of a SelectionScratch.
struct SelectionRoom {
  int64_t entries = 0;
  int32_t* latents = nullptr;  // [entries]
  float* values = nullptr;     // [entries]
  int64_t* keys = nullptr;     // [entries], in the place of both
  int64_t* places = nullptr;   // [spans] where the entries that each keeps begin
  int32_t* bins = nullptr;     // [histograms, kMostBins]
  [[nodiscard]] int64_t spans() const { return spans_of(entries); }
  [[nodiscard]] int64_t histograms() const { return histograms_of(entries); }

  // One more than the entries fill: its place is the end of all.
  [[nodiscard]] static int64_t spans_of(int64_t entries) {
    return (entries + kSelectionSpan - 1) / kSelectionSpan + 1;
  }
  [[nodiscard]] static int64_t histograms_of(int64_t entries) {
    constexpr int64_t kEnough = 256;  // for a large device
    const int64_t spans = spans_of(entries);
    return spans < kEnough ? spans : kEnough;
  }
};

}  // namespace cuda

class SelectionScratch {
 public:
  static constexpr int64_t kMostBins = 2048;

  SelectionScratch() = default;
  // For codes of at most `entries` of capacity.
  SelectionScratch(Memory& memory, int64_t entries) : entries_(entries) {
    if (memory.device().kind == DeviceKind::kCpu) return;
    keys_ = Tensor<int64_t, 1>(memory, "selection", {entries});
    places_ = Tensor<int64_t, 1>(memory, "selection", {cuda::SelectionRoom::spans_of(entries)});
    bins_ =
        Tensor<int32_t, 1>(memory, "selection", {cuda::SelectionRoom::histograms_of(entries) * kMostBins});
  }
  [[nodiscard]] int64_t entries() const { return entries_; }
  [[nodiscard]] cuda::SelectionRoom room() {
    auto* const latents = reinterpret_cast<int32_t*>(keys_.data());
    return {entries_,     latents,        reinterpret_cast<float*>(latents + entries_),
            keys_.data(), places_.data(), bins_.data()};
  }

 private:
  int64_t entries_ = 0;
  Tensor<int64_t, 1> keys_;
  Tensor<int64_t, 1> places_;
  Tensor<int32_t, 1> bins_;
};

}  // namespace orthant::kernels
