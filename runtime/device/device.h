// The device that holds a buffer or runs a kernel. "No driver" and "no device" are both "none". Thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace orthant {

enum class DeviceKind { kCpu, kCuda };

struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  int index = 0;
  bool operator==(const Device&) const = default;
};

inline constexpr Device kCpu{};

// Usable CUDA devices on this host; 0 without a driver, a device or CUDA in the build.
[[nodiscard]] int cuda_device_count();
// The device of a rank: "cpu", "cuda" (Error(kDevice) where there is none) or "auto" (CUDA where there is one).
[[nodiscard]] Device device_from_name(std::string_view name, int local_rank);
[[nodiscard]] std::string to_string(Device device);

}  // namespace orthant
