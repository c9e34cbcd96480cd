// What streams and events ask of CUDA. One of two link-time twins defines these: the CUDA one, or one that
// throws "not configured". Streams wait for the legacy stream of their device and it for them
// (cuda_memory.h). Not thread-safe for one stream or event.
#pragma once

#include <cstdint>

namespace orthant::cuda {

void* create_stream(int device);
void destroy_stream(void* stream) noexcept;
void synchronize_stream(void* stream);
// In the order of the stream: pinned host memory and memory of devices, else the host waits for part of it.
void copy_on_stream(void* into, const void* from, int64_t bytes, void* stream);

void* create_event(int device);
void destroy_event(void* event) noexcept;
void record_event(void* event, void* stream);
void wait_on_stream(void* stream, void* event);
bool is_event_done(void* event);
void synchronize_event(void* event);

}  // namespace orthant::cuda
