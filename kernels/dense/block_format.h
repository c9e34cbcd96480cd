// The element types in which weights are stored, alone or in blocks of 32 or 256 values with their scales.
// Thread-safe.
#pragma once

#include <cstdint>

namespace orthant::kernels {

// The numbers are part of the GGUF format.
enum class BlockType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
};

struct BlockFormat {
  int64_t values = 0;  // values in a block
  int64_t bytes = 0;   // bytes of a block
};

// {0, 0} for a type that cannot be read.
[[nodiscard]] BlockFormat block_format(BlockType type);

}  // namespace orthant::kernels
