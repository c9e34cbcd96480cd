#include "kernels/precision.h"

#include <fmt/format.h>

#include "runtime/core/error.h"

namespace orthant::kernels {

std::string_view name_of(Precision precision) {
  return precision == Precision::kBF16 ? "bf16" : "f32";
}

Precision precision_from_name(std::string_view name) {
  for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
    if (name == name_of(precision)) return precision;
  }
  throw Error(ExitCode::kConfig, {.problem = fmt::format("unknown precision '{}'", name),
                                  .why = "dense products are computed in f32 or bf16",
                                  .suggestion = "Use f32 or bf16."});
}

}  // namespace orthant::kernels
