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
    link_.wait(watch, stream_);
  }
  stream_ = stream;
  return data_;
}

void NcclScratch::give_back(Watchdog::Watch& watch) {
  if (data_ == nullptr) return;
  link_.wait(watch, stream_);
  link_.deregister_buffer(watch, std::exchange(handle_, nullptr));
  link_.api().release(link_.own().device, std::exchange(data_, nullptr));
  bytes_ = 0;
}

}  // namespace orthant
