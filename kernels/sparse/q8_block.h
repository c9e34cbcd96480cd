// Arithmetic of the q8 format (input_major_weights.h) that the CPU and CUDA share. Thread-safe.
#pragma once

#include <math.h>
#include <stdint.h>

#include "runtime/core/half.h"
#include "runtime/core/host_device.h"

namespace orthant::kernels {

// The f16 scale of a block whose largest magnitude is given.
ORTHANT_HOST_DEVICE inline uint16_t q8_scale(float largest) {
  return half_of_f32(largest / 127.0f);
}

// The nearest multiple of the scale, ties to even; the rounded scale may be too small for the largest ones.
ORTHANT_HOST_DEVICE inline int8_t q8_of(float weight, float scale) {
  if (scale == 0.0f) return 0;
  const float multiple = nearbyintf(weight / scale);
  return static_cast<int8_t>(multiple > 127.0f ? 127.0f : multiple < -127.0f ? -127.0f : multiple);
}

}  // namespace orthant::kernels
