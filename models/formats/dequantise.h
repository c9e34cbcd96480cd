// The element types of GGUF tensors and their exact widening to f32.
//
// Quantised types store blocks of 32 or 256 values with their scales. Every product and every sum is rounded
// by itself, as the reference implementations do, so results are bitwise theirs. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace orthant::models {

// The numbers are part of the GGUF format.
enum class GgmlType : uint32_t {
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
[[nodiscard]] BlockFormat block_format(GgmlType type);
// "Q4_1"; "type 99" for numbers that have no name.
[[nodiscard]] std::string name_of(GgmlType type);
// "F32, F16, ...": what block_format knows.
[[nodiscard]] std::string_view readable_ggml_types();
// `blocks` holds into.size() / values whole blocks of a readable type.
void dequantise(GgmlType type, std::span<const std::byte> blocks, std::span<float> into);

}  // namespace orthant::models
