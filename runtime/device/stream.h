// An order of work on a device. On the CPU every call has completed when it returns. Not thread-safe.
#pragma once

#include "runtime/device/device.h"

namespace orthant {

class Stream {
 public:
  explicit Stream(Device device = kCpu);
  ~Stream();
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;
  [[nodiscard]] Device device() const { return device_; }
  // Blocks until all work that was put on this stream has completed.
  void synchronize();
  // The vendor's stream; null on the CPU.
  [[nodiscard]] void* native() const { return native_; }

 private:
  Device device_;
  void* native_ = nullptr;
};

}  // namespace orthant
