// One axis of a plot: the range that holds the data, round ticks, and where a value lies. Pure; thread-safe.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace orthant {

enum class Scale { kLinear, kLog };

class Axis {
 public:
  // Covers the finite values of `values` (of a log axis: the positive ones); 0 to 1, or 1 to 10, where there
  // are none, and a range around it where there is one. Bounds are widened to round numbers when
  // `round_bounds`.
  Axis(Scale scale, std::span<const double> values, bool round_bounds);

  [[nodiscard]] double low() const { return low_; }
  [[nodiscard]] double high() const { return high_; }
  // Ascending, within [low(), high()].
  [[nodiscard]] const std::vector<double>& ticks() const { return ticks_; }
  [[nodiscard]] std::string tick_text(double tick) const;
  // Whether a place exists for the value: finite, of a log axis positive.
  [[nodiscard]] bool holds(double value) const;
  // 0 at low(), 1 at high(). Requires holds(value).
  [[nodiscard]] double fraction(double value) const;

 private:
  void set_linear(bool round_bounds);
  void set_log(bool round_bounds);

  Scale scale_;
  double low_ = 0.0;
  double high_ = 1.0;
  double step_ = 1.0;  // linear
  std::vector<double> ticks_;
};

// The round distance (1, 2 or 5 times a power of ten) that gives about `count` ticks over `range` > 0.
[[nodiscard]] double round_step(double range, int count);

}  // namespace orthant
