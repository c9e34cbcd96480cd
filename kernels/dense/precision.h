// What the operands of the dense products are rounded to. Thread-safe.
#pragma once

#include <string_view>

#include "runtime/device/device.h"

namespace orthant::kernels {

enum class Precision {
  kF32,   // as they are
  kBF16,  // weights and rows rounded to bf16; products and sums stay f32
  kTF32,  // weights and rows cut to tf32 by the device that multiplies them; CUDA only
};

[[nodiscard]] std::string_view name_of(Precision precision);  // "f32", "bf16", "tf32"
// Throws Error(kConfig) for an unknown name.
[[nodiscard]] Precision precision_from_name(std::string_view name);
// Throws Error(kConfig) for a precision in which the device's products cannot be.
void require_precision(Precision precision, Device device);

}  // namespace orthant::kernels
