#include "kernels/dense/precision.h"

#include <fmt/format.h>

#include "runtime/core/error.h"

namespace orthant::kernels {

std::string_view name_of(Precision precision) {
  switch (precision) {
    case Precision::kF32:
      return "f32";
    case Precision::kBF16:
      return "bf16";
    case Precision::kTF32:
      return "tf32";
  }
  return "f32";
}

Precision precision_from_name(std::string_view name) {
  for (const Precision precision : {Precision::kF32, Precision::kBF16, Precision::kTF32}) {
    if (name == name_of(precision)) return precision;
  }
  throw Error(ExitCode::kConfig, {.problem = fmt::format("unknown precision '{}'", name),
                                  .why = "dense products are computed in f32, bf16 or tf32",
                                  .suggestion = "Use f32 or bf16, or tf32 on CUDA."});
}

void require_precision(Precision precision, Device device) {
  if (precision != Precision::kTF32 || device.kind == DeviceKind::kCuda) return;
  throw Error(ExitCode::kConfig, {.problem = fmt::format("no product in tf32 on {}", to_string(device)),
                                  .why = "only CUDA devices multiply in tf32",
                                  .suggestion = "Use f32 or bf16, or a CUDA device."});
}

}  // namespace orthant::kernels
