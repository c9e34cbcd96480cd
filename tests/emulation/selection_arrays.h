// The room of selections where the kernels run, each array with margins that nobody may write.
#pragma once

#include "kernels/codes/selection_scratch.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::testing {

class SelectionArrays {
 public:
  explicit SelectionArrays(int64_t entries)
      : entries_(entries),
        keys_(kernels::cuda::SelectionRoom::keys_of(entries)),
        places_(kernels::cuda::SelectionRoom::spans_of(entries)) {}
  [[nodiscard]] kernels::cuda::SelectionRoom room() const {
    return kernels::cuda::room_in(entries_, keys_.data(), places_.data());
  }
  void expect_margins() const {
    (void)keys_.values();
    (void)places_.values();
  }

 private:
  int64_t entries_;
  DeviceArray<int64_t> keys_;
  DeviceArray<int64_t> places_;
};

}  // namespace orthant::testing
