// What buffers ask of CUDA. One of two link-time twins defines these: the CUDA one, or one that throws "not
// configured", so that no call site needs a guard.
//
// Every call makes its device the thread's current one. Memory is taken and given back in the order of the
// device's legacy stream, which waits for the streams of cuda_streams.h and they for it: what is released is
// free only once the work before it has ended. Only copy() and zero() stop the host, and allocate() where
// memory is short. Thread-safe.
#pragma once

#include <cstdint>

namespace orthant::cuda {

// Throws Error(kConfig), naming what is needed and what is free, when the device has no such room.
void* allocate(int device, int64_t bytes);
void release(int device, void* data) noexcept;
// Blocking; either side may be host memory.
void copy(int device, void* into, const void* from, int64_t bytes);
// Blocking.
void zero(int device, void* into, int64_t bytes);
// Host memory that devices copy from and to without a stop on the way.
void* allocate_pinned(int device, int64_t bytes);
void release_pinned(void* data) noexcept;

}  // namespace orthant::cuda
