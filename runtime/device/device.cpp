#include "runtime/device/device.h"

#include <fmt/format.h>

#include "runtime/core/error.h"
#include "runtime/device/cuda_devices.h"

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
  if (count > 0) return {DeviceKind::kCuda, local_rank % count};
  if (name == "auto") return kCpu;
  throw Error(ExitCode::kDevice, {.problem = "no CUDA device is usable",
                                  .why = cuda::no_device_reason(),
                                  .suggestion = "Use --device=cpu."});
}

std::string to_string(Device device) {
  return device.kind == DeviceKind::kCpu ? "cpu" : fmt::format("cuda:{}", device.index);
}

}  // namespace orthant
