// The magnitude of a float as a number that integers compare: the same order on CPU and CUDA. Thread-safe.
#pragma once

#include <stdint.h>
#include <string.h>

#include "runtime/core/host_device.h"

namespace orthant::kernels {

// What every NaN counts as: more than infinity.
inline constexpr int32_t kNanKey = 0x7f800001;

ORTHANT_HOST_DEVICE inline int32_t magnitude_key(float value) {
  int32_t bits;
  memcpy(&bits, &value, sizeof bits);
  bits &= 0x7fffffff;
  return bits < kNanKey ? bits : kNanKey;
}

}  // namespace orthant::kernels
