// One gain of PCS, on the CPU and on CUDA. Thread-safe.
#pragma once

#include <math.h>

#include "runtime/core/host_device.h"

namespace orthant::kernels {

// 1 / s with s = sqrt(activation peak / weight peak); 1 where nothing is activated.
ORTHANT_HOST_DEVICE inline float peak_gain(float activation_peak, float weight_peak) {
  // The quotient of the roots: that of peaks may be beyond f32.
  return activation_peak == 0.0f ? 1.0f : sqrtf(weight_peak) / sqrtf(activation_peak);
}

}  // namespace orthant::kernels
