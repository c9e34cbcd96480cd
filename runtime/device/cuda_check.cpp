#include "runtime/device/cuda_check.h"

#include <fmt/format.h>

#include "runtime/core/error.h"

namespace orthant::cuda {
namespace {

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

// Errors after which every call of this process fails.
bool is_sticky(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorIllegalInstruction:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
      return true;
    default:
      return false;
  }
}

std::string suggestion_for(cudaError_t status) {
  if (is_sticky(status)) {
    return "A kernel before this call went wrong: run once more with CUDA_LAUNCH_BLOCKING=1, or under "
           "compute-sanitizer, to see which.";
  }
  if (status == cudaErrorECCUncorrectable) return "Leave this device out with CUDA_VISIBLE_DEVICES.";
  return "See `nvidia-smi`, or use --device=cpu.";
}

}  // namespace

void check(cudaError_t status, std::string_view doing, std::source_location at) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  const std::string why =
      fmt::format("{}: {} ({}), at {}:{}", cudaGetErrorName(status), cudaGetErrorString(status),
                  static_cast<int>(status), at.file_name(), at.line());
  const std::string problem = fmt::format("CUDA failed {}", doing);
  if (status == cudaErrorMemoryAllocation) {
    throw Error(ExitCode::kConfig,
                {.problem = problem,
                 .why = why,
                 .suggestion = "Use fewer latents, rows or tokens at a time, or spread the "
                               "run over more devices; see `orthant plan`."});
  }
  throw Error(ExitCode::kDevice, {.problem = problem, .why = why, .suggestion = suggestion_for(status)});
}

std::string absence_reason(cudaError_t status, int driver_version, int runtime_version) {
  if (status == cudaErrorNoDevice) return "the NVIDIA driver found no device";
  if (status != cudaErrorInsufficientDriver) return "";
  if (driver_version == 0) return "there is no NVIDIA driver";
  return fmt::format("the NVIDIA driver supports CUDA {}, this build needs {}", version_text(driver_version),
                     version_text(runtime_version));
}

}  // namespace orthant::cuda
