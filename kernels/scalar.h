// Arithmetic of single numbers that CPU code, CUDA kernels and their emulation share. Where the CPU has it in
// lanes too (lanes.h), the bits are the same: what is fused there is fused here. Thread-safe.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/isa/vector.h"
#include "runtime/core/host_device.h"
#include "runtime/core/philox.h"
#include "runtime/core/rng.h"

namespace orthant::kernels {

ORTHANT_HOST_DEVICE inline uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

ORTHANT_HOST_DEVICE inline float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

// exp(x) with a relative error below 2e-7, 0 for x <= -87 and exp(88) above 88: exponential.h, one lane of
// it.
ORTHANT_HOST_DEVICE inline float exponential_of(float x) {
  const float above = -87.0f > x ? -87.0f : x;
  const float clamped = 88.0f < above ? 88.0f : above;
  const float to_integer = 12582912.0f;
  const float e = fmaf(clamped, 1.44269504f, to_integer) - to_integer;
  float r = fmaf(e, -0.693359375f, clamped);
  r = fmaf(e, 2.12194440e-4f, r);
  float series = 1.0f / 5040.0f;
  series = fmaf(series, r, 1.0f / 720.0f);
  series = fmaf(series, r, 1.0f / 120.0f);
  series = fmaf(series, r, 1.0f / 24.0f);
  series = fmaf(series, r, 1.0f / 6.0f);
  series = fmaf(series, r, 0.5f);
  series = fmaf(series, r, 1.0f);
  series = fmaf(series, r, 1.0f);
  if (x <= -87.0f) return 0.0f;
  if (x != x) return x;
  return float_of(bits_of(series) + (static_cast<uint32_t>(static_cast<int32_t>(e)) << 23));
}

// gate / (1 + exp(-gate)) * up; exp(-gate) is kept finite.
ORTHANT_HOST_DEVICE inline float swiglu_of(float gate, float up) {
  const float kept = -87.0f > gate ? -87.0f : gate;
  return gate / (1.0f + exponential_of(0.0f - kept)) * up;
}

// One element of VectorOps::adam_row.
ORTHANT_HOST_DEVICE inline void adam_element(const AdamFactors& factors, float gradient, float& parameter,
                                             float& m, float& v) {
  const float g = factors.gradient_scale * gradient;
  m = fmaf(factors.beta1, m, factors.one_minus_beta1 * g);
  v = fmaf(factors.beta2, v, factors.one_minus_beta2 * (g * g));
  const float divisor = fmaf(sqrtf(v), factors.root_correction, factors.epsilon);
  parameter = fmaf(-factors.step_size, m / divisor, factors.decay * parameter);
}

// The nearest bf16 number, as f32: round_bf16.h.
ORTHANT_HOST_DEVICE inline float bf16_of(float value) {
  const uint32_t bits = bits_of(value);
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  const uint32_t nearest = bits + 0x7fffu + ((bits >> 16) & 1u);
  return float_of((is_nan ? bits | 0x400000u : nearest) & 0xffff0000u);
}

// The key of the draws of one row at one step; `latent` is global.
ORTHANT_HOST_DEVICE inline RoundingKey rounding_key(uint64_t seed, Purpose row, int64_t step,
                                                    int64_t latent) {
  const PhiloxWords words = philox_words(seed, static_cast<uint32_t>(row), static_cast<uint32_t>(step),
                                         static_cast<uint64_t>(latent));
  return {words.of[0], words.of[1]};
}

// 16 random bits.
ORTHANT_HOST_DEVICE inline uint32_t rounding_draw(RoundingKey key, int64_t column) {
  uint32_t mixed = static_cast<uint32_t>(column) * kRoundingColumn + key.first;
  mixed = (mixed ^ mixed >> 16) * kRoundingFirst;
  mixed = (mixed ^ mixed >> 15) + key.second;
  return mixed * kRoundingSecond >> 16;
}

// One of the two bf16 numbers around `value`, by a draw; a NaN stays one.
ORTHANT_HOST_DEVICE inline uint16_t bf16_at_random(float value, uint32_t draw) {
  const uint32_t bits = bits_of(value);
  return static_cast<uint16_t>((value != value ? bits | 0x400000u : bits + draw) >> 16);
}

ORTHANT_HOST_DEVICE inline float widened(uint16_t bf16) {
  return float_of(static_cast<uint32_t>(bf16) << 16);
}

}  // namespace orthant::kernels
