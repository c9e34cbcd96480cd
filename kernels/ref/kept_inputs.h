// Reference of kernels/sparse/kept_inputs.h: sorts every group. Thread-safe.
#pragma once

#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::kernels::ref {

// The kept inputs in ascending order.
[[nodiscard]] std::vector<int32_t> kept_inputs(Vector<const float> x, int64_t keep, int64_t group);

}  // namespace orthant::kernels::ref
