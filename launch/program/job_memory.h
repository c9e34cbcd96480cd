// The memory of a job: of the device it computes on, and of the host beside it. On the CPU they are one.
// Thread-safe as Memory is.
#pragma once

#include <string>

#include "runtime/device/memory.h"

namespace orthant::launch {

class JobMemory {
 public:
  explicit JobMemory(Device device) : device_(device) {}
  // Both count what is asked of them and give nothing (Memory::counting).
  struct Counting {};
  JobMemory(Counting, Device device) : device_(Memory::counting(device)), beside_(Memory::counting()) {}

  [[nodiscard]] Memory& device() { return device_; }
  [[nodiscard]] Memory& host() { return is_one() ? device_ : beside_; }
  // Host memory of a job on another device; 0 where both are one.
  [[nodiscard]] int64_t beside_bytes() const { return beside_.allocated_bytes(); }

  // What `planned` counted is predicted of this one. Throws Error(kConfig) where the device, or `ranks` ranks
  // of this host together, have no room for it. `what`, `suggestion`: as for refuse_beyond_room().
  void predict(JobMemory& planned, const std::string& what, int ranks, const std::string& suggestion);
  // Tables for the log, and what a device has left.
  [[nodiscard]] std::string table() const;

 private:
  [[nodiscard]] bool is_one() const { return device_.device() == kCpu; }
  Memory device_;
  Memory beside_;
};

}  // namespace orthant::launch
