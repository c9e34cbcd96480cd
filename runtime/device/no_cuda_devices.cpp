#include "runtime/device/cuda_devices.h"
#include "runtime/device/no_cuda_error.h"

namespace orthant::cuda {

int device_count() {
  return 0;
}
std::string no_device_reason() {
  return "this build has no CUDA part";
}
DeviceMemory memory_of(int) {
  throw_not_configured();
}
std::string identity_of(int) {
  throw_not_configured();
}
void require_supported(int) {
  throw_not_configured();
}

}  // namespace orthant::cuda
