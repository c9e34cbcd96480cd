#include "sae/training/row_feed.h"

#include <chrono>

#include "runtime/core/share.h"

namespace orthant::sae {

RowFeed::RowFeed(Memory& memory, int64_t rows, int64_t d_model, int parts)
    : parts_(parts),
      d_model_(d_model),
      staged_(memory, "batch", {memory.device() == kCpu ? 0 : rows, d_model}),
      copies_(memory.working_device()),
      arrived_(memory.working_device()),
      taken_(memory.working_device()) {
  if (memory.working_device() == kCpu) return;
  pinned_ = PinnedBuffer(memory.device(), staged_.view().bytes());
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

void RowFeed::read_ahead(ActivationSource& source, int64_t first, int64_t rows) {
  if (staged_.shape()[0] == 0) return;
  arrived_.synchronize();
  const Matrix<float> host{reinterpret_cast<float*>(pinned_.data()), {rows, d_model_}, kCpu};
  read(source, first, host);
  taken_.hold(copies_);
  copy_in_order(staged_.data(), host.data, host.bytes(), copies_);
  arrived_.record(copies_);
  ahead_of_ = &source;
  first_ahead_ = first;
  rows_ahead_ = rows;
}

void RowFeed::take(ActivationSource& source, int64_t first, Matrix<float> into, Stream& stream) {
  if (into.device.kind == DeviceKind::kCpu) return read(source, first, into);
  const bool is_staged = ahead_of_ == &source && first_ahead_ == first && rows_ahead_ == into.shape[0];
  if (!is_staged) read_ahead(source, first, into.shape[0]);
  arrived_.hold(stream);
  copy_in_order(into.data, staged_.data(), into.bytes(), stream);
  taken_.record(stream);
  ahead_of_ = nullptr;
}

}  // namespace orthant::sae
