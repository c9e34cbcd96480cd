#include "models/formats/rope_factors.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace orthant::models {
namespace {

constexpr double kTolerance = 1e-4;

double wavelength(int64_t i, double theta, int64_t head_dim) {
  return 2.0 * std::numbers::pi *
         std::pow(theta, 2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
}

bool reproduces(const RopeScaling& scaling, std::span<const float> divisors, double theta) {
  const auto computed = rope_divisors(scaling, theta, static_cast<int64_t>(divisors.size()) * 2);
  for (size_t i = 0; i < divisors.size(); ++i) {
    if (!(std::abs(computed[i] - divisors[i]) <= kTolerance * computed[i])) return false;
  }
  return true;
}

// Between the plateaus s is linear in 1 / wavelength; two points give slope and intercept, low = 1 the scale.
std::optional<RopeScaling> from_ramp(std::span<const float> divisors, double theta, double factor) {
  const auto count = static_cast<int64_t>(divisors.size());
  std::vector<int64_t> ramp;
  for (int64_t i = 0; i < count; ++i) {
    if (divisors[i] > 1.0 + kTolerance && divisors[i] < factor * (1.0 - kTolerance)) ramp.push_back(i);
  }
  if (ramp.size() < 2) return std::nullopt;
  const auto smooth = [&](int64_t i) { return (1.0 / divisors[i] - 1.0 / factor) / (1.0 - 1.0 / factor); };
  const auto inverse = [&](int64_t i) { return 1.0 / wavelength(i, theta, count * 2); };
  const int64_t a = ramp.front();
  const int64_t b = ramp.back();
  const double slope = (smooth(a) - smooth(b)) / (inverse(a) - inverse(b));
  const double intercept = slope * inverse(a) - smooth(a);
  if (!(slope > 0.0) || !(intercept > 0.0)) return std::nullopt;
  const double high = 1.0 + 1.0 / intercept;
  return RopeScaling{.factor = factor,
                     .low_frequency_factor = 1.0,
                     .high_frequency_factor = high,
                     .original_context = std::llround(slope * (high - 1.0))};
}

}  // namespace

std::vector<double> rope_divisors(const RopeScaling& scaling, double theta, int64_t head_dim) {
  std::vector<double> divisors(static_cast<size_t>(head_dim / 2));
  const double low = scaling.low_frequency_factor;
  const double high = scaling.high_frequency_factor;
  for (int64_t i = 0; i < head_dim / 2; ++i) {
    const double turns = static_cast<double>(scaling.original_context) / wavelength(i, theta, head_dim);
    const double smooth = std::clamp((turns - low) / (high - low), 0.0, 1.0);
    divisors[i] = 1.0 / ((1.0 - smooth) / scaling.factor + smooth);
  }
  return divisors;
}

std::optional<RopeScaling> scaling_from_divisors(std::span<const float> divisors, double theta) {
  if (divisors.empty()) return std::nullopt;
  const double factor = *std::ranges::max_element(divisors);
  if (!std::isfinite(factor) || factor < 1.0) return std::nullopt;
  const RopeScaling llama3{.factor = factor};
  if (reproduces(llama3, divisors, theta)) return llama3;
  const RopeScaling linear{.factor = factor, .original_context = 0};
  if (reproduces(linear, divisors, theta)) return linear;
  const auto fitted = from_ramp(divisors, theta, factor);
  return fitted && reproduces(*fitted, divisors, theta) ? fitted : std::nullopt;
}

}  // namespace orthant::models
