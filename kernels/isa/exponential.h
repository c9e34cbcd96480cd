// exp of sixteen lanes, for *_isa.cpp files. Same bits in every instruction set.
#pragma once

#include "kernels/isa/lanes.h"

namespace orthant::kernels {
namespace {

// exp(x) = 2^e * exp(r), e the nearest integer to x / ln 2, |r| <= ln(2) / 2; the series to r^7 errs below
// 6e-9.
ORTHANT_LANES_INLINE Lanes exponential(Lanes x) {
  const Lanes lowest = broadcast(-87.0f);
  const Lanes clamped = smaller(broadcast(88.0f), larger(lowest, x));  // in this order NaN stays NaN
  const Lanes to_integer = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to the nearest integer
  const Lanes e = fused(clamped, broadcast(1.44269504f), to_integer) - to_integer;
  // ln 2 in two parts, the first with trailing zeros so that e times it is exact.
  Lanes r = fused(e, broadcast(-0.693359375f), clamped);
  r = fused(e, broadcast(2.12194440e-4f), r);
  Lanes series = broadcast(1.0f / 5040.0f);
  constexpr float kCoefficients[] = {1.0f / 720.0f, 1.0f / 120.0f, 1.0f / 24.0f, 1.0f / 6.0f,
                                     0.5f,          1.0f,          1.0f};
#pragma GCC unroll 7
  for (const float coefficient : kCoefficients) series = fused(series, r, broadcast(coefficient));
  return zero_unless_above(times_power_of_two(series, e), x, lowest);
}

}  // namespace
}  // namespace orthant::kernels
