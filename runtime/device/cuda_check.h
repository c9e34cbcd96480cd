// From a status of the CUDA runtime to an Error. For CUDA sources only. Thread-safe.
#pragma once

#include <cuda_runtime_api.h>

#include <source_location>
#include <string>
#include <string_view>

namespace orthant::cuda {

// Throws Error(kDevice) when `status` is no success, or Error(kConfig) when memory ran out: `doing` is what
// failed ("copying 12 bytes"). Clears the error that CUDA keeps for the thread, so that the next call is not
// blamed for it.
void check(cudaError_t status, std::string_view doing,
           std::source_location at = std::source_location::current());

// Why cudaGetDeviceCount said `status`; empty where that means trouble and not "no device". Versions as CUDA
// gives them (12020 for 12.2); driver version 0: there is no driver.
[[nodiscard]] std::string absence_reason(cudaError_t status, int driver_version, int runtime_version);

}  // namespace orthant::cuda
