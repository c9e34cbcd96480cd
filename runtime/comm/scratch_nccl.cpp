#include "runtime/comm/scratch_nccl.h"

#include <algorithm>
#include <utility>

namespace orthant {
namespace {

constexpr int64_t kLeastBytes = int64_t{1} << 20;

}  // namespace

NcclScratch::~NcclScratch() {
  if (data_ != nullptr) link_.api().release(link_.own().device, data_);
}

std::byte* NcclScratch::room(Watchdog::Watch& watch, int64_t bytes, void* stream) {
  if (bytes > bytes_) {
    give_back(watch);
    const int64_t enough = std::max(bytes, kLeastBytes);
    data_ = static_cast<std::byte*>(link_.api().allocate(link_.own().device, enough));
    bytes_ = enough;
    handle_ = link_.register_buffer(watch, data_, bytes_);
  } else if (stream != stream_) {
    wait_for_work(watch);
  }
  stream_ = stream;
  in_use_ = true;
  return data_;
}

// In the legacy stream, null, which comes after the work of all streams: the one of this work may be gone.
void NcclScratch::wait_for_work(Watchdog::Watch& watch) {
  if (in_use_) link_.wait(watch, nullptr);
  in_use_ = false;
}

// The library waits without a deadline for what is on any stream, so all of it is waited for before.
void NcclScratch::give_back(Watchdog::Watch& watch) {
  if (data_ == nullptr) return;
  link_.wait(watch, nullptr);
  in_use_ = false;
  link_.deregister_buffer(watch, std::exchange(handle_, nullptr));
  link_.api().release(link_.own().device, std::exchange(data_, nullptr));
  bytes_ = 0;
}

}  // namespace orthant
