// What buffers and streams ask of CUDA. One of two link-time twins defines these: the CUDA one, or one that
// throws "not configured", so that no call site needs a guard.
#pragma once

#include <cstdint>

namespace orthant::cuda {

int device_count();
void* allocate(int device, int64_t bytes);
void release(int device, void* data) noexcept;
void copy(void* into, const void* from, int64_t bytes);
void zero(void* into, int64_t bytes);
void* create_stream(int device);
void destroy_stream(void* stream) noexcept;
void synchronize_stream(void* stream);

}  // namespace orthant::cuda
