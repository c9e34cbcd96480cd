// The room of selections where the kernels run, each array with margins that nobody may write.
#pragma once

#include "kernels/codes/selection_scratch.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::testing {

class SelectionArrays {
 public:
  explicit SelectionArrays(int64_t entries)
      : entries_(entries),
        keys_(entries),
        places_(kernels::cuda::SelectionRoom::spans_of(entries)),
        bins_(kernels::cuda::SelectionRoom::histograms_of(entries) * kernels::SelectionScratch::kMostBins) {}
  [[nodiscard]] kernels::cuda::SelectionRoom room() const {
    auto* const latents = reinterpret_cast<int32_t*>(keys_.data());
    return {entries_,     latents,        reinterpret_cast<float*>(latents + entries_),
            keys_.data(), places_.data(), bins_.data()};
  }
  void expect_margins() const {
    (void)keys_.values();
    (void)places_.values();
    (void)bins_.values();
  }

 private:
  int64_t entries_;
  DeviceArray<int64_t> keys_;
  DeviceArray<int64_t> places_;
  DeviceArray<int32_t> bins_;
};

}  // namespace orthant::testing
