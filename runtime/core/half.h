// f16 numbers as their bits, converted by the same arithmetic on hosts and devices. Thread-safe.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "runtime/core/host_device.h"

namespace orthant {

ORTHANT_HOST_DEVICE inline float f32_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

ORTHANT_HOST_DEVICE inline float f32_of_half(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1fu;
  const uint32_t mantissa = half & 0x3ffu;
  if (exponent == 31) return f32_of_bits(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) {  // in units of 2^-24, exactly
    const float magnitude = static_cast<float>(mantissa) * (1.0f / 16777216.0f);
    return sign != 0 ? -magnitude : magnitude;
  }
  return f32_of_bits(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

// The nearest, ties to even; a NaN stays one.
ORTHANT_HOST_DEVICE inline uint16_t half_of_f32(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // rounds to infinity
  if (magnitude < 0x38800000u) {  // subnormal: count in units of 2^-24
    const float units = f32_of_bits(magnitude) * 16777216.0f;
    return static_cast<uint16_t>(sign | static_cast<uint32_t>(nearbyintf(units)));
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

}  // namespace orthant
