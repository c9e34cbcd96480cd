// A thread has one block of weights: this runs once for each tensor of a model.
#include "kernels/cuda/launch.cuh"
#include "kernels/dense/block_decode.h"
#include "kernels/dense/dequantise_cuda.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 128;

template <BlockType kType>
__device__ void decode(const uint8_t* block, float* into) {
  if constexpr (kType == BlockType::kF32) decode_f32(block, into);
  if constexpr (kType == BlockType::kF16) decode_f16(block, into);
  if constexpr (kType == BlockType::kBF16) decode_bf16(block, into);
  if constexpr (kType == BlockType::kQ4_0) decode_q4_0(block, into);
  if constexpr (kType == BlockType::kQ4_1) decode_q4_1(block, into);
  if constexpr (kType == BlockType::kQ5_0) decode_q5_0(block, into);
  if constexpr (kType == BlockType::kQ5_1) decode_q5_1(block, into);
  if constexpr (kType == BlockType::kQ8_0) decode_q8_0(block, into);
  if constexpr (kType == BlockType::kQ4_K) decode_q4_k(block, into);
  if constexpr (kType == BlockType::kQ5_K) decode_q5_k(block, into);
  if constexpr (kType == BlockType::kQ6_K) decode_q6_k(block, into);
}

template <BlockType kType>
__global__ void __launch_bounds__(kThreads)
    decode_blocks(const uint8_t* blocks, int64_t count, int64_t block_bytes, int64_t block_values,
                  float* into) {
  const int64_t block = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (block < count) decode<kType>(blocks + block * block_bytes, into + block * block_values);
}

auto kernel_for(BlockType type) {
  switch (type) {
    case BlockType::kF16:
      return decode_blocks<BlockType::kF16>;
    case BlockType::kBF16:
      return decode_blocks<BlockType::kBF16>;
    case BlockType::kQ4_0:
      return decode_blocks<BlockType::kQ4_0>;
    case BlockType::kQ4_1:
      return decode_blocks<BlockType::kQ4_1>;
    case BlockType::kQ5_0:
      return decode_blocks<BlockType::kQ5_0>;
    case BlockType::kQ5_1:
      return decode_blocks<BlockType::kQ5_1>;
    case BlockType::kQ8_0:
      return decode_blocks<BlockType::kQ8_0>;
    case BlockType::kQ4_K:
      return decode_blocks<BlockType::kQ4_K>;
    case BlockType::kQ5_K:
      return decode_blocks<BlockType::kQ5_K>;
    case BlockType::kQ6_K:
      return decode_blocks<BlockType::kQ6_K>;
    case BlockType::kF32:
      break;
  }
  return decode_blocks<BlockType::kF32>;
}

}  // namespace

void dequantise(BlockType type, Vector<const std::byte> blocks, Vector<float> into, Stream& stream) {
  const BlockFormat format = block_format(type);
  const int64_t count = into.shape[0] / format.values;
  launch(kernel_for(type), {.blocks = (count + kThreads - 1) / kThreads, .threads = kThreads}, stream,
         reinterpret_cast<const uint8_t*>(blocks.data), count, format.bytes, format.values, into.data);
}

}  // namespace orthant::kernels::cuda
