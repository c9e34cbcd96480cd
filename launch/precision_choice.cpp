#include "launch/precision_choice.h"

#include "kernels/dense/precision.h"

namespace orthant::launch {

void settle_precision(Config& config, Device device) {
  constexpr const char* kField = "precision";
  if (config.schema().find(kField) == nullptr) return;
  const bool is_cuda = device.kind == DeviceKind::kCuda;
  config.set_default(kField, name_of(is_cuda ? kernels::Precision::kBF16 : kernels::Precision::kF32));
  kernels::require_precision(kernels::precision_from_name(*config.value_text(kField)), device);
}

}  // namespace orthant::launch
