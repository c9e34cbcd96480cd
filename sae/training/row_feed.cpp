#include "sae/training/row_feed.h"

#include <chrono>

#include "runtime/core/share.h"

namespace orthant::sae {

RowFeed::RowFeed(Memory& memory, int64_t rows, int64_t d_model, int parts, Communicator& shards)
    : copies_(memory.working_device()),
      parts_(parts),
      shards_(&shards),
      own_(share_of(rows, shards.size(), shards.rank())),
      staged_(memory, "batch", {memory.device() == kCpu ? 0 : rows, d_model}),
      arrived_(memory.working_device()),
      shared_(memory.working_device()),
      taken_(memory.working_device()) {
  for (int s = 0; s < shards.size(); ++s) {
    counts_.push_back(share_of(rows, shards.size(), s).count * d_model);
  }
  if (memory.working_device() == kCpu) return;
  pinned_ = PinnedBuffer(memory.device(), staged_.view().rows(0, own_.count).bytes());
}

void RowFeed::read(ActivationSource& source, int64_t first, Matrix<float> into) {
  const auto start = std::chrono::steady_clock::now();
  for (int part = 0; part < parts_; ++part) {
    const Share rows = share_of(into.shape[0], parts_, part);
    if (rows.count == 0) continue;
    source.read(Split::kTrain, first + rows.first, into.rows(rows.first, rows.count), nullptr);
  }
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void RowFeed::share(Matrix<float> rows, Stream& stream) {
  if (shards_->size() == 1) return;
  shards_->all_gather_uneven(rows.row(own_.first), rows.data, counts_, Dtype::kF32, stream);
}

void RowFeed::read_ahead(ActivationSource& source, int64_t first) {
  if (staged_.shape()[0] == 0) return;
  arrived_.synchronize();
  const Matrix<float> own = staged_.view().rows(own_.first, own_.count);
  const Matrix<float> host{reinterpret_cast<float*>(pinned_.data()), own.shape, kCpu};
  read(source, first + own_.first, host);
  taken_.hold(copies_);
  copy_in_order(own.data, host.data, host.bytes(), copies_);
  arrived_.record(copies_);
  if (shards_->runs_beside_others()) share(staged_.view(), copies_);
  shared_.record(copies_);
  ahead_of_ = &source;
  first_ahead_ = first;
}

void RowFeed::take(ActivationSource& source, int64_t first, Matrix<float> into, Stream& stream) {
  if (into.device.kind == DeviceKind::kCpu) {
    read(source, first + own_.first, into.rows(own_.first, own_.count));
    return share(into, stream);
  }
  if (ahead_of_ != &source || first_ahead_ != first) read_ahead(source, first);
  shared_.hold(stream);
  if (!shards_->runs_beside_others()) share(staged_.view(), stream);
  copy_in_order(into.data, staged_.data(), into.bytes(), stream);
  taken_.record(stream);
  ahead_of_ = nullptr;
}

}  // namespace orthant::sae
