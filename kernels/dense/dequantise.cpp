#include "kernels/dense/dequantise.h"

#include "kernels/dense/block_decode.h"
#include "kernels/dense/dequantise_cuda.h"
#include "runtime/core/dtype.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kSmallBlock = 32;
constexpr int64_t kSuperBlock = 256;

template <typename Decode>
void for_each_block(const uint8_t* blocks, Vector<float> into, BlockFormat format, Decode decode) {
  const int64_t count = into.shape[0] / format.values;
  for (int64_t i = 0; i < count; ++i) decode(blocks + i * format.bytes, into.data + i * format.values);
}

}  // namespace

BlockFormat block_format(BlockType type) {
  switch (type) {
    case BlockType::kF32:
      return {1, 4};
    case BlockType::kF16:
      return {1, 2};
    case BlockType::kBF16:
      return {1, 2};
    case BlockType::kQ4_0:
      return {kSmallBlock, 18};
    case BlockType::kQ4_1:
      return {kSmallBlock, 20};
    case BlockType::kQ5_0:
      return {kSmallBlock, 22};
    case BlockType::kQ5_1:
      return {kSmallBlock, 24};
    case BlockType::kQ8_0:
      return {kSmallBlock, 34};
    case BlockType::kQ4_K:
      return {kSuperBlock, 144};
    case BlockType::kQ5_K:
      return {kSuperBlock, 176};
    case BlockType::kQ6_K:
      return {kSuperBlock, 210};
  }
  return {};
}

void dequantise(BlockType type, Vector<const std::byte> blocks, Vector<float> into, Stream& stream) {
  const BlockFormat format = block_format(type);
  require(format.values > 0, "only readable types are dequantised");
  require(
      into.shape[0] % format.values == 0 && blocks.shape[0] * format.values == into.shape[0] * format.bytes,
      "whole blocks are dequantised");
  if (into.device.kind == DeviceKind::kCuda) return cuda::dequantise(type, blocks, into, stream);
  const auto* bytes = reinterpret_cast<const uint8_t*>(blocks.data);
  switch (type) {
    case BlockType::kF32:
      return widen(Dtype::kF32, bytes, into.span());
    case BlockType::kF16:
      return widen(Dtype::kF16, bytes, into.span());
    case BlockType::kBF16:
      return widen(Dtype::kBF16, bytes, into.span());
    case BlockType::kQ4_0:
      return for_each_block(bytes, into, format, decode_q4_0);
    case BlockType::kQ4_1:
      return for_each_block(bytes, into, format, decode_q4_1);
    case BlockType::kQ5_0:
      return for_each_block(bytes, into, format, decode_q5_0);
    case BlockType::kQ5_1:
      return for_each_block(bytes, into, format, decode_q5_1);
    case BlockType::kQ8_0:
      return for_each_block(bytes, into, format, decode_q8_0);
    case BlockType::kQ4_K:
      return for_each_block(bytes, into, format, decode_q4_k);
    case BlockType::kQ5_K:
      return for_each_block(bytes, into, format, decode_q5_k);
    case BlockType::kQ6_K:
      return for_each_block(bytes, into, format, decode_q6_k);
  }
}

}  // namespace orthant::kernels
