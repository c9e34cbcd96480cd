// Owning, move-only, uninitialised bytes on a device. CPU memory is 2 MiB aligned and on huge pages when
// large, because fresh 4 KiB pages cost more than the arithmetic done on them. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/device/device.h"

namespace orthant {

class Buffer {
 public:
  Buffer() = default;
  // Throws Error(kConfig) naming the size and what is left when the device has no such room; 0 bytes are
  // allowed.
  Buffer(Device device, int64_t bytes);
  // Stands for `bytes` of the device and has none of its memory: an address range of the host that nobody may
  // read or write, or a null pointer where the range is too large. What a plan is made of.
  [[nodiscard]] static Buffer reserved(Device device, int64_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] int64_t bytes() const { return bytes_; }
  [[nodiscard]] Device device() const { return device_; }
  [[nodiscard]] bool is_reserved() const { return is_reserved_; }
  // Sets all bytes to zero; does nothing to a reserved buffer.
  void zero();

 private:
  void release() noexcept;
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
  int64_t mapped_bytes_ = 0;
  Device device_;
  bool is_reserved_ = false;
};

// Blocking copy between buffers of any two devices.
void copy_bytes(void* into, Device into_device, const void* from, Device from_device, int64_t bytes);
void zero_bytes(void* into, Device device, int64_t bytes);

}  // namespace orthant
