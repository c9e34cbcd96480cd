// Memory of the device that an NCCL communicator keeps from one operation to the next, registered with NCCL.
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/comm/link_nccl.h"

namespace orthant {

class NcclScratch {
 public:
  explicit NcclScratch(NcclLink& link) : link_(link) {}
  ~NcclScratch();
  NcclScratch(const NcclScratch&) = delete;
  NcclScratch& operator=(const NcclScratch&) = delete;

  // At least `bytes` for work on `stream`, which may overwrite what earlier work left there.
  [[nodiscard]] std::byte* room(Watchdog::Watch& watch, int64_t bytes, void* stream);
  // All work on it is done.
  void rest() { in_use_ = false; }
  // Waits for all work of the device and takes it from NCCL again.
  void give_back(Watchdog::Watch& watch);

 private:
  void wait_for_work(Watchdog::Watch& watch);

  NcclLink& link_;
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
  void* handle_ = nullptr;
  bool in_use_ = false;     // there may be work on it that is not done
  void* stream_ = nullptr;  // of that work; it may be gone
};

}  // namespace orthant
