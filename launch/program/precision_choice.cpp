#include "launch/program/precision_choice.h"

#include "kernels/dense/precision.h"

namespace orthant::launch {

void settle_precision(Config& config, Device device) {
  constexpr const char* kField = "precision";
  if (config.schema().find(kField) == nullptr) return;
  constexpr const char* kDeterministic = "deterministic";
  const bool is_cuda = device.kind == DeviceKind::kCuda;
  // The bits that are asked for are those of every device, so the precision is that of every device too.
  const bool is_deterministic =
      config.schema().find(kDeterministic) != nullptr && config.value_text(kDeterministic) == "true";
  config.set_default(
      kField, name_of(is_cuda && !is_deterministic ? kernels::Precision::kBF16 : kernels::Precision::kF32));
  kernels::require_precision(kernels::precision_from_name(*config.value_text(kField)), device);
}

}  // namespace orthant::launch
