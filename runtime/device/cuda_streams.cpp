#include "runtime/device/cuda_streams.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "runtime/device/cuda_check.h"

namespace orthant::cuda {
namespace {

void use(int device) {
  check(cudaSetDevice(device), fmt::format("choosing device {}", device));
}

cudaStream_t stream_of(void* stream) {
  return static_cast<cudaStream_t>(stream);
}

cudaEvent_t event_of(void* event) {
  return static_cast<cudaEvent_t>(event);
}

// Whether the device itself reads ordinary memory of the host, as it does where both share page tables:
// elsewhere such memory has been copied when cudaMemcpyAsync returns.
bool is_read_in_place(const void* from) {
  int device = 0, shares_tables = 0;
  check(cudaGetDevice(&device), "asking for the device in use");
  check(cudaDeviceGetAttribute(&shares_tables, cudaDevAttrPageableMemoryAccessUsesHostPageTables, device),
        "asking how a device reads the host's memory");
  if (shares_tables == 0) return false;
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, from), "asking where a buffer lies");
  return attributes.type == cudaMemoryTypeUnregistered;
}

}  // namespace

void* create_stream(int device) {
  use(device);
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamDefault), "creating a stream");
  return stream;
}

void destroy_stream(void* stream) noexcept {
  cudaStreamDestroy(stream_of(stream));
  cudaGetLastError();
}

void synchronize_stream(void* stream) {
  check(cudaStreamSynchronize(stream_of(stream)), "waiting for a stream");
}

void copy_on_stream(void* into, const void* from, int64_t bytes, void* stream) {
  check(cudaMemcpyAsync(into, from, static_cast<size_t>(bytes), cudaMemcpyDefault, stream_of(stream)),
        fmt::format("copying {} bytes", bytes));
  if (is_read_in_place(from)) synchronize_stream(stream);
}

void* create_event(int device) {
  use(device);
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "creating an event");
  return event;
}

void destroy_event(void* event) noexcept {
  cudaEventDestroy(event_of(event));
  cudaGetLastError();
}

void record_event(void* event, void* stream) {
  check(cudaEventRecord(event_of(event), stream_of(stream)), "recording an event");
}

void wait_on_stream(void* stream, void* event) {
  check(cudaStreamWaitEvent(stream_of(stream), event_of(event), 0), "letting a stream wait for an event");
}

bool is_event_done(void* event) {
  const cudaError_t status = cudaEventQuery(event_of(event));
  if (status != cudaErrorNotReady) check(status, "asking for an event");
  return status == cudaSuccess;
}

void synchronize_event(void* event) {
  check(cudaEventSynchronize(event_of(event)), "waiting for an event");
}

}  // namespace orthant::cuda
