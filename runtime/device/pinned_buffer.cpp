#include "runtime/device/pinned_buffer.h"

#include <cstring>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/device/cuda_memory.h"
#include "runtime/device/cuda_streams.h"

namespace orthant {

PinnedBuffer::PinnedBuffer(Device device, int64_t bytes) : bytes_(bytes) {
  require(bytes >= 0, "a buffer has no negative size");
  if (bytes == 0) return;
  if (device.kind == DeviceKind::kCpu) {
    ordinary_ = Buffer(device, bytes);
    return;
  }
  pinned_ = static_cast<std::byte*>(cuda::allocate_pinned(device.index, bytes));
}

PinnedBuffer::~PinnedBuffer() {
  if (pinned_ != nullptr) cuda::release_pinned(pinned_);
}

PinnedBuffer::PinnedBuffer(PinnedBuffer&& other) noexcept
    : ordinary_(std::move(other.ordinary_)),
      pinned_(std::exchange(other.pinned_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

PinnedBuffer& PinnedBuffer::operator=(PinnedBuffer&& other) noexcept {
  std::swap(ordinary_, other.ordinary_);
  std::swap(pinned_, other.pinned_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void copy_in_order(void* into, const void* from, int64_t bytes, Stream& stream) {
  if (bytes == 0) return;
  if (stream.native() != nullptr) return cuda::copy_on_stream(into, from, bytes, stream.native());
  std::memmove(into, from, static_cast<size_t>(bytes));
}

}  // namespace orthant
