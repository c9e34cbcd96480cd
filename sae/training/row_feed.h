// Rows of a source on their way to the shards of a dictionary, which all need them: each shard reads a part
// and they share them. On the CPU they are read where they are used. For a device the rows of the next step
// are read into pinned memory, copied and shared in a lane of their own, while the kernels of this step run;
// where operations of several groups may not (Communicator::runs_beside_others()), shared when they are
// taken.
//
// What a source gives is a pure function of the sample number, so what was read ahead is no part of a
// checkpoint. One pinned buffer and one on the device are enough: the host reads into the first when the last
// copy from it is done, and the copy waits until the second is taken. Allocated at construction. Collective
// over the shards; main thread only.
#pragma once

#include <vector>

#include "runtime/comm/communicator.h"
#include "runtime/core/share.h"
#include "runtime/device/event.h"
#include "runtime/device/pinned_buffer.h"
#include "runtime/device/tensor.h"
#include "runtime/job/activation_source.h"

namespace orthant::sae {

class RowFeed {
 public:
  // `rows` rows at a time; this shard's part is read in `parts` calls of the source.
  RowFeed(Memory& memory, int64_t rows, int64_t d_model, int parts, Communicator& shards);

  // Training samples from `first` on become `into` [rows, d_model], in the order of `stream`.
  void take(ActivationSource& source, int64_t first, Matrix<float> into, Stream& stream);
  // Says that the next take() will be of the samples from `first` on. Does nothing on the CPU.
  void read_ahead(ActivationSource& source, int64_t first);

  // Local. Returns when what was read ahead is where it goes.
  void wait() { shards_->wait(copies_); }

  // Seconds spent in reading so far.
  [[nodiscard]] double seconds() const { return seconds_; }

 private:
  void read(ActivationSource& source, int64_t first, Matrix<float> into);
  void share(Matrix<float> rows, Stream& stream);

  Stream copies_;  // goes after the memory that its work uses
  int parts_;
  Communicator* shards_;
  Share own_;                    // of the rows: read by this shard
  std::vector<int64_t> counts_;  // [shards] elements that each reads
  PinnedBuffer pinned_;          // [own rows, d_model], for a device
  Tensor<float, 2> staged_;      // [rows, d_model], on a device; else [0, d_model]
  Event arrived_;                // this shard's rows on the device: the pinned buffer may be written again
  Event shared_;                 // the lane has done what it does: those of all shards, where it shares
  Event taken_;                  // they may be written again
  const ActivationSource* ahead_of_ = nullptr;  // what is staged: rows of this source, or nothing
  int64_t first_ahead_ = 0;
  double seconds_ = 0.0;
};

}  // namespace orthant::sae
