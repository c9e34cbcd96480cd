// How CUDA kernels are started, and what the threads of a block and of a warp share. The only file with the
// launch syntax and with __shared__; tests run the same kernels on the CPU with a file of this name in its
// place (tests/emulation/replacing).
//
// Kernel files use of CUDA what is here, __global__, __device__, __launch_bounds__, __restrict__, threadIdx,
// blockIdx, blockDim, gridDim and __syncthreads(), and of <math.h> what is there for f32 and f64. Blocks have
// one dimension and whole warps; warp functions are called by all threads of a warp together.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

#include <type_traits>

#include "runtime/device/cuda_check.h"
#include "runtime/device/stream.h"

namespace orthant::kernels {

inline constexpr int kWarp = 32;

struct LaunchShape {
  int64_t blocks = 0;  // below 2^31
  int threads = 0;     // of a block: a multiple of kWarp, at most 1024
  int64_t shared_bytes = 0;
};

// Puts `kernel` on `stream`; does nothing for 0 blocks. Throws Error(kDevice).
template <typename... Parameters>
void launch(void (*kernel)(Parameters...), LaunchShape shape, Stream& stream,
            std::type_identity_t<Parameters>... arguments) {
  // A block has 48 KiB without asking; the rest is for what block_shared() takes.
  constexpr int64_t kSharedWithoutAsking = 32 << 10;
  if (shape.blocks == 0) return;
  // A stream of the CPU is the legacy one of the device that the thread has chosen.
  if (stream.device().kind == DeviceKind::kCuda) {
    ::orthant::cuda::check(cudaSetDevice(stream.device().index), "choosing a device");
  }
  if (shape.shared_bytes > kSharedWithoutAsking) {
    ::orthant::cuda::check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                                cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                static_cast<int>(shape.shared_bytes)),
                           "asking for shared memory");
  }
  kernel<<<static_cast<unsigned>(shape.blocks), static_cast<unsigned>(shape.threads),
           static_cast<size_t>(shape.shared_bytes), static_cast<cudaStream_t>(stream.native())>>>(
      arguments...);
  ::orthant::cuda::check(cudaGetLastError(), "starting a kernel");
}

// The shared memory that was asked for at the launch.
template <typename T>
__device__ T* dynamic_shared() {
  extern __shared__ double2 orthant_dynamic_shared[];
  return reinterpret_cast<T*>(orthant_dynamic_shared);
}

// The block's one object of type T, which has no constructor: uninitialised.
template <typename T>
__device__ T& block_shared() {
  __shared__ T object;
  return object;
}

template <typename T>
__device__ T warp_shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}
// The value of lane `source`.
template <typename T>
__device__ T warp_shuffle(T value, int source) {
  return __shfl_sync(0xffffffffu, value, source);
}
// Bit i: whether lane i holds.
__device__ inline uint32_t warp_ballot(bool holds) {
  return __ballot_sync(0xffffffffu, holds);
}

// What the lanes of a warp wrote before is seen by all of them after it.
__device__ inline void warp_barrier() {
  __syncwarp();
}

// Four floats that are loaded and stored as one, at a multiple of 16 bytes.
struct Four {
  float of[4];
};

__device__ inline Four load_four(const float* from) {
  const float4 all = *reinterpret_cast<const float4*>(from);
  return {{all.x, all.y, all.z, all.w}};
}
__device__ inline void store_four(float* to, Four four) {
  *reinterpret_cast<float4*>(to) = make_float4(four.of[0], four.of[1], four.of[2], four.of[3]);
}

// Four numbers of 16 bits, the same at a multiple of 8 bytes.
struct FourHalves {
  uint16_t of[4];
};

__device__ inline FourHalves load_four(const uint16_t* from) {
  const ushort4 all = *reinterpret_cast<const ushort4*>(from);
  return {{all.x, all.y, all.z, all.w}};
}
__device__ inline void store_four(uint16_t* to, FourHalves four) {
  *reinterpret_cast<ushort4*>(to) = make_ushort4(four.of[0], four.of[1], four.of[2], four.of[3]);
}

}  // namespace orthant::kernels
