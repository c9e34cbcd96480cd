// The element types of GGUF tensors by the names that people know. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "kernels/dense/block_format.h"

namespace orthant::models {

using GgmlType = kernels::BlockType;

// "Q4_1"; "type 99" for numbers that have no name.
[[nodiscard]] std::string ggml_name(GgmlType type);
// "F32, F16, ...": what kernels::block_format knows.
[[nodiscard]] std::string_view readable_ggml_types();

}  // namespace orthant::models
