// One CUDA device that is memory of this process: what link-time twins of runtime/device ask of CUDA, for
// programs whose kernels run on fibers (tests/emulation/emu.h).
//
// Nobody but the device may touch its memory: outside of a launch, a copy or a library call an access is a
// segmentation fault at the line that made it, every time in the first works of a process and often after.
// Memory is all NaN (or -1) when it is given out. Work is done when the call that puts it on a stream
// returns. Thread-safe; while one thread is at work on the device, the memory is open to all.
#pragma once

#include <cstdint>

namespace orthant::emulation {

// While one lives, the memory of the device may be touched.
class DeviceWork {
 public:
  DeviceWork();
  ~DeviceWork();
  DeviceWork(const DeviceWork&) = delete;
  DeviceWork& operator=(const DeviceWork&) = delete;
};

[[nodiscard]] bool is_device_memory(const void* data);
// Bytes that are given out at this moment.
[[nodiscard]] int64_t device_bytes_in_use();

}  // namespace orthant::emulation
