#include "runtime/device/device.h"

#include <fmt/format.h>

#include "runtime/core/error.h"
#include "runtime/device/cuda_devices.h"
#include "runtime/device/host_memory.h"

namespace orthant {

int cuda_device_count() {
  return cuda::device_count();
}

Device device_from_name(std::string_view name, int local_rank) {
  if (name == "cpu") return kCpu;
  if (name != "cuda" && name != "auto") {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("device '{}' is unknown", name),
                                    .suggestion = "Use auto, cpu or cuda."});
  }
  const int count = cuda_device_count();
  if (count > 0) return cuda_device_of(local_rank, count);
  if (name == "auto") return kCpu;
  throw Error(ExitCode::kDevice, {.problem = "no CUDA device is usable",
                                  .why = cuda::no_device_reason(),
                                  .suggestion = "Use --device=cpu."});
}

Device cuda_device_of(int local_rank, int count) {
  if (count == 1) return {DeviceKind::kCuda, 0};
  if (local_rank < count) return {DeviceKind::kCuda, local_rank};
  throw Error(
      ExitCode::kDevice,
      {.problem = fmt::format("rank {} of this host has no CUDA device of its own", local_rank),
       .why = fmt::format("the host shows {} devices", count),
       .suggestion = fmt::format("Start at most {} ranks on this host, or use --device=cpu.", count)});
}

int64_t available_bytes(Device device) {
  return device.kind == DeviceKind::kCpu ? available_host_bytes() : cuda::memory_of(device.index).free_bytes;
}

std::string to_string(Device device) {
  return device.kind == DeviceKind::kCpu ? "cpu" : fmt::format("cuda:{}", device.index);
}

}  // namespace orthant
