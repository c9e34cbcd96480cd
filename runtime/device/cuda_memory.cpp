#include "runtime/device/cuda_memory.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "runtime/core/error.h"
#include "runtime/device/cuda_check.h"
#include "runtime/device/cuda_devices.h"

namespace orthant::cuda {
namespace {

void use(int device) {
  check(cudaSetDevice(device), fmt::format("choosing device {}", device));
}

[[noreturn]] void refuse(int device, int64_t bytes) {
  const DeviceMemory memory = memory_of(device);
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("cannot allocate {} bytes on device {}", bytes, device),
               .why = fmt::format("it has {} of {} left", memory.free_bytes, memory.total_bytes),
               .suggestion = "Use fewer latents, rows or tokens at a time, or spread the run over more "
                             "devices; see `orthant plan`."});
}

bool has_pools(int device) {
  int supported = 0;
  check(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, device),
        fmt::format("asking what device {} can do", device));
  return supported != 0;
}

// A piece of work in the legacy stream, on memory that nobody uses then: it comes after the work of all
// streams so far and before what they get from now on. Taking memory from a pool and giving it back are not
// said to be such work.
cudaError_t order_all_streams(void* data) {
  return cudaMemsetAsync(data, 0, 1, cudaStreamLegacy);
}

// What was given back is free for others only once the host has waited.
cudaError_t take_from_pool(void** data, size_t size) {
  cudaError_t status = cudaMallocAsync(data, size, cudaStreamLegacy);
  if (status == cudaErrorMemoryAllocation && cudaDeviceSynchronize() == cudaSuccess) {
    cudaGetLastError();
    status = cudaMallocAsync(data, size, cudaStreamLegacy);
  }
  return status == cudaSuccess ? order_all_streams(*data) : status;
}

}  // namespace

void* allocate(int device, int64_t bytes) {
  use(device);
  const auto size = static_cast<size_t>(bytes);
  void* data = nullptr;
  const cudaError_t status = has_pools(device) ? take_from_pool(&data, size) : cudaMalloc(&data, size);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    refuse(device, bytes);
  }
  check(status, fmt::format("allocating {} bytes on device {}", bytes, device));
  return data;
}

void release(int device, void* data) noexcept {
  const bool is_ordered = cudaSetDevice(device) == cudaSuccess && order_all_streams(data) == cudaSuccess;
  if (is_ordered && cudaFreeAsync(data, cudaStreamLegacy) == cudaSuccess) return;
  // No pools, or a context that an earlier error left unusable.
  cudaStreamSynchronize(cudaStreamLegacy);
  cudaFree(data);
  cudaGetLastError();
}

void copy(int device, void* into, const void* from, int64_t bytes) {
  use(device);
  const auto size = static_cast<size_t>(bytes);
  check(cudaMemcpyAsync(into, from, size, cudaMemcpyDefault, cudaStreamLegacy),
        fmt::format("copying {} bytes", bytes));
  check(cudaStreamSynchronize(cudaStreamLegacy), fmt::format("copying {} bytes", bytes));
}

void zero(int device, void* into, int64_t bytes) {
  use(device);
  check(cudaMemsetAsync(into, 0, static_cast<size_t>(bytes), cudaStreamLegacy),
        fmt::format("setting {} bytes to zero", bytes));
  check(cudaStreamSynchronize(cudaStreamLegacy), fmt::format("setting {} bytes to zero", bytes));
}

void* allocate_pinned(int device, int64_t bytes) {
  use(device);
  void* data = nullptr;
  check(cudaHostAlloc(&data, static_cast<size_t>(bytes), cudaHostAllocPortable),
        fmt::format("allocating {} bytes of pinned host memory", bytes));
  return data;
}

void release_pinned(void* data) noexcept {
  cudaFreeHost(data);
  cudaGetLastError();
}

}  // namespace orthant::cuda
