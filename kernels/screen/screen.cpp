#include "kernels/screen/screen.h"

#include <limits>

#include "kernels/isa/isa.h"

namespace orthant::kernels {
namespace {

// Products of longer vectors could overflow in f32.
constexpr double kLongest = 1e18;
// Covers the rounding of the margins themselves.
constexpr double kSlack = 1.0001;
constexpr double kSmallest = 1e-35;

// Of the sum of `depth` products, in units of the product of the lengths: one unit in the last place for each
// addition of the bounded sum, whose rounding is the processor's, half a one for each of the exact sum, and
// some for the last operations of the bound.
double rounding_of_sums(int64_t depth) {
  constexpr double kUnit = 1.0 / (1 << 23);
  return (1.5 * static_cast<double>(depth) + 16.0) * kUnit;
}

ScreenMargin margin(double length, double error, float scale) {
  // Written so that NaN is not short enough.
  if (!(length < kLongest)) {
    return {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity(), scale};
  }
  return {static_cast<float>(length * kSlack + kSmallest), static_cast<float>(error * kSlack + kSmallest),
          scale};
}

}  // namespace

const ScreenOps* screen_ops(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return scalar::screen_table();
    case Isa::kAvx2:
      return avx2::screen_table();
    case Isa::kAvx512:
      return avx512::screen_table();
    case Isa::kAmx:
      return amx::screen_table();
  }
  return nullptr;
}

ScreenMargin margin_of_row(RoundedVector vector, int64_t depth) {
  const double longest = vector.length + vector.error;
  return margin(longest, vector.error + rounding_of_sums(depth) * longest, vector.scale);
}

ScreenMargin margin_of_latent(RoundedVector vector) {
  return margin(vector.length + vector.error, vector.error, vector.scale);
}

}  // namespace orthant::kernels
