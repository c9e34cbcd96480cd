#include "runtime/device/cuda_devices.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "runtime/core/error.h"
#include "runtime/device/cuda_check.h"

namespace orthant::cuda {
namespace {

constexpr int kOldestMajor = 8;

struct Found {
  int count = 0;
  std::string reason;  // why there is none
};

Found find_devices() {
  Found found;
  const cudaError_t status = cudaGetDeviceCount(&found.count);
  if (status == cudaSuccess) {
    if (found.count == 0) found.reason = "CUDA_VISIBLE_DEVICES names no device";
    return found;
  }
  cudaGetLastError();
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  found.count = 0;
  found.reason = absence_reason(status, driver, runtime);
  if (found.reason.empty()) check(status, "looking for devices");
  return found;
}

cudaDeviceProp properties_of(int device) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), fmt::format("asking what device {} is", device));
  return properties;
}

}  // namespace

int device_count() {
  return find_devices().count;
}

std::string no_device_reason() {
  return find_devices().reason;
}

DeviceMemory memory_of(int device) {
  size_t free_bytes = 0, total_bytes = 0;
  check(cudaSetDevice(device), fmt::format("choosing device {}", device));
  check(cudaMemGetInfo(&free_bytes, &total_bytes), fmt::format("asking for the memory of device {}", device));
  return {static_cast<int64_t>(free_bytes), static_cast<int64_t>(total_bytes)};
}

std::string identity_of(int device) {
  std::string text;
  for (const char byte : properties_of(device).uuid.bytes) {
    text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  }
  return text;
}

void require_supported(int device) {
  const cudaDeviceProp properties = properties_of(device);
  if (properties.major >= kOldestMajor) return;
  throw Error(ExitCode::kDevice,
              {.problem = fmt::format("device {} ({}) cannot be used", device, properties.name),
               .why = fmt::format("its compute capability is {}.{}, this build has code from {}.0 on",
                                  properties.major, properties.minor, kOldestMajor),
               .suggestion = "Leave it out with CUDA_VISIBLE_DEVICES, or use --device=cpu."});
}

}  // namespace orthant::cuda
