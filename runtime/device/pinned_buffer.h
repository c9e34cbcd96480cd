// Owning, move-only, uninitialised host memory from and to which a device copies without stopping the host:
// where rows wait on their way to it. For the CPU it is ordinary memory. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/device/buffer.h"
#include "runtime/device/stream.h"

namespace orthant {

class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  // Throws Error(kConfig) when the host has no such room. 0 bytes are allowed.
  PinnedBuffer(Device device, int64_t bytes);
  ~PinnedBuffer();
  PinnedBuffer(PinnedBuffer&& other) noexcept;
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept;
  [[nodiscard]] std::byte* data() const { return pinned_ != nullptr ? pinned_ : ordinary_.data(); }
  [[nodiscard]] int64_t bytes() const { return bytes_; }

 private:
  Buffer ordinary_;
  std::byte* pinned_ = nullptr;
  int64_t bytes_ = 0;
};

// Copies in the order of `stream`, which is on the device that holds one side or both, and of no other. A
// side in a PinnedBuffer is touched by nobody until the copy has completed. With ordinary memory of the host
// the call returns when it may be touched again: after a copy to it the host has waited for the stream, which
// where ranks take part is waited for by Communicator::wait() before.
void copy_in_order(void* into, const void* from, int64_t bytes, Stream& stream);

}  // namespace orthant
