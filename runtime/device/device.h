// The device that holds a buffer or runs a kernel. "No driver" and "no device" are both "none". Thread-safe.
#pragma once

#include <cstdint>
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

// Usable CUDA devices on this host; 0 without a driver, a device or CUDA in the build. Throws Error(kDevice)
// when there is a driver and it fails.
[[nodiscard]] int cuda_device_count();
// The device of a rank: "cpu", "cuda" (Error(kDevice) where there is none) or "auto" (CUDA where there is
// one).
[[nodiscard]] Device device_from_name(std::string_view name, int local_rank);
// The device of a rank among the `count` > 0 that it sees: the one of its own number, or the only one, which
// is what a job system leaves each rank to see. Throws Error(kDevice) where there are fewer than ranks.
[[nodiscard]] Device cuda_device_of(int local_rank, int count);
// Bytes that can still be allocated there, whoever asks.
[[nodiscard]] int64_t available_bytes(Device device);
[[nodiscard]] std::string to_string(Device device);

}  // namespace orthant
