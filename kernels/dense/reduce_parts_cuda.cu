// A thread has one element of all parts at a time.
#include "kernels/cuda/launch.cuh"
#include "kernels/dense/reduce_parts.h"
#include "kernels/scalar.h"
#include "runtime/core/half.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMostBlocks = 4096;

struct Parts {
  const void* at[kMostReducedParts];
  int count;
};

// What an element is while it is combined.
template <typename T>
__device__ T opened(T value) {
  return value;
}
__device__ inline float opened(BFloat16 value) {
  return widened(value.bits);
}
__device__ inline float opened(Float16 value) {
  return f32_of_half(value.bits);
}

template <typename T>
__device__ void close_into(T value, T* into) {
  *into = value;
}
__device__ inline void close_into(float value, BFloat16* into) {
  into->bits = static_cast<uint16_t>(bits_of(bf16_of(value)) >> 16);
}
__device__ inline void close_into(float value, Float16* into) {
  into->bits = half_of_f32(value);
}

template <ReduceOp kOp, typename T>
__global__ void __launch_bounds__(kThreads) reduce_elements(Parts parts, T* into, int64_t elements) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < elements; i += step) {
    auto sum = opened(static_cast<const T*>(parts.at[0])[i]);
    for (int p = 1; p < parts.count; ++p) {
      sum = combine<kOp>(sum, opened(static_cast<const T*>(parts.at[p])[i]));
    }
    close_into(sum, into + i);
  }
}

}  // namespace

void reduce_parts(std::span<const void* const> parts, void* into, int64_t elements, Dtype dtype, ReduceOp op,
                  Stream& stream) {
  require(!parts.empty() && parts.size() <= kMostReducedParts, "a reduction on a GPU has 1 to 1024 parts");
  Parts all{};
  for (size_t p = 0; p < parts.size(); ++p) all.at[p] = parts[p];
  all.count = static_cast<int>(parts.size());
  const int64_t needed = (elements + kThreads - 1) / kThreads;
  const LaunchShape shape{.blocks = needed < kMostBlocks ? needed : kMostBlocks, .threads = kThreads};
  visit_reduction(dtype, op, [&]<typename T, ReduceOp kOp>(Reduction<T, kOp>) {
    launch(reduce_elements<kOp, T>, shape, stream, all, static_cast<T*>(into), elements);
  });
}

}  // namespace orthant::kernels::cuda
