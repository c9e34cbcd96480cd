#include "runtime/device/cuda_devices.h"
#include "tests/emulation/runs.h"

namespace orthant::testing {

Device kernel_device() {
  return {DeviceKind::kCuda, 0};
}

std::string no_kernels_reason() {
  return cuda_device_count() > 0 ? "" : "no CUDA device: " + cuda::no_device_reason();
}

// Twice: a race may show.
int order_count() {
  return 2;
}

void choose_order(int, bool) {}

bool can_leave_out_barriers() {
  return false;
}

}  // namespace orthant::testing
