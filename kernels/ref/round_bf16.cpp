#include "kernels/ref/round_bf16.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace orthant::kernels::ref {
namespace {

// bf16: eight significant bits, exponents of f32.
constexpr int kSignificantBits = 8;
constexpr int kLeastExponent = -126;  // of a normal number
constexpr double kTwoToThe128 = 0x1p128;

}  // namespace

float round_bf16(float value) {
  if (std::isnan(value) || std::isinf(value) || value == 0.0f) return value;
  const double size = std::abs(static_cast<double>(value));
  // The distance of neighbouring bf16 numbers where `size` lies.
  const int exponent = std::max(std::ilogb(size), kLeastExponent);
  const double unit = std::ldexp(1.0, exponent - (kSignificantBits - 1));
  const double units = size / unit, below = std::floor(units);
  const double above_by = units - below;
  const bool below_is_even = std::fmod(below, 2.0) == 0.0;
  const bool up = above_by > 0.5 || (above_by == 0.5 && !below_is_even);
  const double rounded = (up ? below + 1.0 : below) * unit;
  const double magnitude = rounded >= kTwoToThe128 ? std::numeric_limits<double>::infinity() : rounded;
  return static_cast<float>(std::copysign(magnitude, static_cast<double>(value)));
}

}  // namespace orthant::kernels::ref
