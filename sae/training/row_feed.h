// Rows of a source on their way to a trainer. On the CPU they are read where they are used. For a device the
// rows of the next step are read into pinned memory, and copied in a stream of their own, while the kernels
// of this step run.
//
// What a source gives is a pure function of the sample number, so what was read ahead is no part of a
// checkpoint. One pinned buffer and one on the device are enough: the host reads into the first when the last
// copy from it is done, and the copy waits until the second is taken. Allocated at construction. Local; main
// thread only.
#pragma once

#include "runtime/device/event.h"
#include "runtime/device/pinned_buffer.h"
#include "runtime/device/tensor.h"
#include "runtime/job/activation_source.h"

namespace orthant::sae {

class RowFeed {
 public:
  // At most `rows` rows at a time, which are read in `parts` calls of the source.
  RowFeed(Memory& memory, int64_t rows, int64_t d_model, int parts);

  // Training samples from `first` on become `into` [rows, d_model], in the order of `stream`.
  void take(ActivationSource& source, int64_t first, Matrix<float> into, Stream& stream);
  // Says that the next take() will be of `rows` rows from sample `first` on. Does nothing on the CPU.
  void read_ahead(ActivationSource& source, int64_t first, int64_t rows);

  // Seconds spent in reading so far.
  [[nodiscard]] double seconds() const { return seconds_; }

 private:
  void read(ActivationSource& source, int64_t first, Matrix<float> into);

  int parts_;
  int64_t d_model_;
  PinnedBuffer pinned_;      // [rows, d_model], for a device
  Tensor<float, 2> staged_;  // [rows, d_model], on a device; else [0, d_model]
  Stream copies_;
  Event arrived_, taken_;
  const ActivationSource* ahead_of_ = nullptr;  // what is staged: rows of this source, or nothing
  int64_t first_ahead_ = 0;
  int64_t rows_ahead_ = 0;
  double seconds_ = 0.0;
};

}  // namespace orthant::sae
