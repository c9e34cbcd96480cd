#include "runtime/report/axis.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "runtime/core/error.h"
#include "runtime/report/number_text.h"

namespace orthant {
namespace {

constexpr int kTicks = 6;
constexpr double kLargest = 1e300;  // beyond it differences overflow
constexpr double kSlack = 1e-9;     // of a step: ticks at the very bounds survive rounding

}  // namespace

double round_step(double range, int count) {
  require(range > 0.0 && count > 0, "ticks need a range");
  const double rough = range / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double mantissa : {1.0, 2.0, 5.0}) {
    if (rough <= mantissa * power * (1.0 + kSlack)) return mantissa * power;
  }
  return 10.0 * power;
}

Axis::Axis(Scale scale, std::span<const double> values, bool round_bounds) : scale_(scale) {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const double value : values) {
    if (!holds(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  const bool is_empty = low > high;
  low_ = is_empty ? (scale == Scale::kLog ? 1.0 : 0.0) : low;
  high_ = is_empty ? (scale == Scale::kLog ? 10.0 : 1.0) : high;
  scale == Scale::kLog ? set_log(round_bounds) : set_linear(round_bounds);
}

void Axis::set_linear(bool round_bounds) {
  // Values that differ by rounding alone are one value.
  const double size = std::max(std::abs(low_), std::abs(high_));
  if (high_ - low_ <= size * 1e-12) {
    const double half = size == 0.0 ? 1.0 : 0.1 * size;
    low_ -= half;
    high_ += half;
  }
  step_ = round_step(high_ - low_, kTicks);
  if (round_bounds) {
    low_ = std::floor(low_ / step_ + kSlack) * step_;
    high_ = std::ceil(high_ / step_ - kSlack) * step_;
  }
  const double first = std::ceil(low_ / step_ - kSlack);
  for (double i = first; i * step_ <= high_ + kSlack * step_; i += 1.0) {
    ticks_.push_back(std::clamp(i * step_, low_, high_));
  }
}

void Axis::set_log(bool round_bounds) {
  if (high_ <= low_ * (1.0 + 1e-12)) {
    low_ /= 2.0;
    high_ *= 2.0;
  }
  const double decades = std::log10(high_) - std::log10(low_);  // the ratio may overflow
  const auto mantissas = decades < 2.5 ? std::vector<double>{1.0, 2.0, 5.0} : std::vector<double>{1.0};
  const int every = std::max(1, static_cast<int>(std::ceil(decades / 7.0)));
  const int first = static_cast<int>(std::floor(std::log10(low_))) - every;
  const int last = static_cast<int>(std::ceil(std::log10(high_))) + every;
  std::vector<double> grid;
  for (int exponent = first; exponent <= last; ++exponent) {
    if (exponent % every != 0) continue;
    for (const double mantissa : mantissas) grid.push_back(mantissa * std::pow(10.0, exponent));
  }
  if (round_bounds) {
    const double slack = 1.0 + kSlack;
    const auto above_low = std::upper_bound(grid.begin(), grid.end(), low_ * slack);
    if (above_low != grid.begin()) low_ = std::min(low_, *std::prev(above_low));
    const auto above = std::lower_bound(grid.begin(), grid.end(), high_ / slack);
    if (above != grid.end()) high_ = std::max(high_, *above);
  }
  for (const double tick : grid) {
    if (tick >= low_ * (1.0 - kSlack) && tick <= high_ * (1.0 + kSlack)) {
      ticks_.push_back(std::clamp(tick, low_, high_));
    }
  }
}

std::string Axis::tick_text(double tick) const {
  if (scale_ == Scale::kLog) return log_tick_text(tick);
  return linear_tick_text(tick, step_, std::max(std::abs(low_), std::abs(high_)));
}

bool Axis::holds(double value) const {
  return std::abs(value) < kLargest && (scale_ == Scale::kLinear || value > 0.0);
}

double Axis::fraction(double value) const {
  if (scale_ == Scale::kLog) return (std::log(value) - std::log(low_)) / (std::log(high_) - std::log(low_));
  return (value - low_) / (high_ - low_);
}

}  // namespace orthant
