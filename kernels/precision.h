// What the operands of the dense products are rounded to. Thread-safe.
#pragma once

#include <string_view>

namespace orthant::kernels {

enum class Precision {
  kF32,   // as they are
  kBF16,  // weights and rows rounded to bf16; products and sums stay f32
};

[[nodiscard]] std::string_view name_of(Precision precision);  // "f32", "bf16"
// Throws Error(kConfig) for an unknown name.
[[nodiscard]] Precision precision_from_name(std::string_view name);

}  // namespace orthant::kernels
