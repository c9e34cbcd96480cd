// Derivatives of double-precision references by central differences.
#pragma once

#include <cstdint>
#include <vector>

namespace orthant::testing {

// d loss() / d value, where loss() reads `value`. Its error is of the order of step^2 times the third
// derivative, plus the rounding of loss() over the step.
template <typename Number, typename Loss>
double central_difference(Number& value, double step, const Loss& loss) {
  const Number before = value;
  value = static_cast<Number>(static_cast<double>(before) + step);
  const double above_at = value, above = loss();
  value = static_cast<Number>(static_cast<double>(before) - step);
  const double below_at = value, below = loss();
  value = before;
  return (above - below) / (above_at - below_at);
}

// sum of a[i] * weights[i]: a loss whose gradient with respect to `a` is `weights`.
inline double weighted_sum(const std::vector<double>& a, const std::vector<float>& weights) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * static_cast<double>(weights[i]);
  return sum;
}

}  // namespace orthant::testing
