#include "runtime/device/stream.h"

#include <utility>

#include "runtime/device/cuda_streams.h"

namespace orthant {

Stream::Stream(Device device) : device_(device) {
  if (device.kind == DeviceKind::kCuda) native_ = cuda::create_stream(device.index);
}

Stream::~Stream() {
  if (native_ != nullptr) cuda::destroy_stream(native_);
}

Stream::Stream(Stream&& other) noexcept
    : device_(other.device_), native_(std::exchange(other.native_, nullptr)) {}

Stream& Stream::operator=(Stream&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(native_, other.native_);
  return *this;
}

void Stream::synchronize() {
  if (native_ != nullptr) cuda::synchronize_stream(native_);
}

}  // namespace orthant
