// Which CUDA devices this process may use, and what is left on them. One of two link-time twins defines
// these: the CUDA one, or one that knows no device. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

namespace orthant::cuda {

// 0 without a driver, without a device, or with a driver that is too old for this build: no_device_reason()
// tells which. Throws Error(kDevice) when there is a driver and it fails.
int device_count();
// One clause for a message; of use where device_count() is 0.
std::string no_device_reason();

struct DeviceMemory {
  int64_t free_bytes = 0;  // at this moment, whoever asks
  int64_t total_bytes = 0;
};
// The functions below throw Error(kDevice) for a device that is absent or fails.
DeviceMemory memory_of(int device);
// The same text in every process that uses the device (of a split device: the same part of it).
std::string identity_of(int device);
// Throws Error(kDevice) for a device older than the oldest that this build has code for.
void require_supported(int device);

}  // namespace orthant::cuda
