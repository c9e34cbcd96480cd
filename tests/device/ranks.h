// Ranks that are threads, with one device that is memory of the process and NCCL over a double of the
// libraries. Where kernels run on fibers only: a real device takes one rank.
#pragma once

#include "tests/device/emulated_device.h"
#include "tests/support/nccl_ranks.h"

namespace orthant::testing {

class DeviceLibraries : public NcclDouble {
 public:
  explicit DeviceLibraries(int ranks)
      : NcclDouble(ranks,
                   {.holds = emulation::is_device_memory, .work = [](const std::function<void()>& task) {
                      const emulation::DeviceWork work;
                      task();
                    }}) {}
};

inline void run_device_ranks(DeviceLibraries& libraries, int ranks, const std::function<void(World&)>& body) {
  run_nccl_ranks(libraries, ranks, {}, body);
}

inline void run_device_ranks(int ranks, const std::function<void(World&)>& body) {
  DeviceLibraries libraries(ranks);
  run_device_ranks(libraries, ranks, body);
}

}  // namespace orthant::testing
