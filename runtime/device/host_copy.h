// Values of a device where the host may read them. On the CPU they stay where they are. Not thread-safe.
#pragma once

#include "runtime/device/pinned_buffer.h"
#include "runtime/device/tensor.h"

namespace orthant {

class HostCopy {
 public:
  HostCopy() = default;
  // Takes room for `bytes` of host memory for values of `device`, none where that is the CPU. Throws
  // Error(kConfig) when the host has no such room.
  HostCopy(Device device, int64_t bytes) : room_(device, device == kCpu ? 0 : bytes) {}

  // `there` itself on the CPU, else a copy of it, which is valid until the next call. Waits for all work that
  // was put on streams of the device, or on `stream`, where other ranks take part after Communicator::wait().
  // `there` takes at most the bytes of the construction.
  template <typename T, int Rank>
  [[nodiscard]] View<const T, Rank> of(View<T, Rank> there) {
    if (there.device == kCpu) return there;
    require(there.bytes() <= room_.bytes(), "the host has room for what is copied");
    copy_bytes(room_.data(), kCpu, there.data, there.device, there.bytes());
    return {reinterpret_cast<const T*>(room_.data()), there.shape, kCpu};
  }
  template <typename T, int Rank>
  [[nodiscard]] View<const T, Rank> of(View<T, Rank> there, Stream& stream) {
    if (there.device == kCpu) return there;
    require(there.bytes() <= room_.bytes(), "the host has room for what is copied");
    copy_in_order(room_.data(), there.data, there.bytes(), stream);
    stream.synchronize();
    return {reinterpret_cast<const T*>(room_.data()), there.shape, kCpu};
  }

 private:
  PinnedBuffer room_;
};

}  // namespace orthant
