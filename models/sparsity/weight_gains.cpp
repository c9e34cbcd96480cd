#include "models/sparsity/weight_gains.h"

#include <algorithm>
#include <cmath>

namespace orthant::models {
namespace {

// Linear interpolation between the order statistics around share * (count - 1).
double quantile(std::vector<float>& values, double share) {
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<int64_t>(place);
  std::nth_element(values.begin(), values.begin() + below, values.end());
  const double low = values[static_cast<size_t>(below)];
  if (below + 1 == static_cast<int64_t>(values.size())) return low;
  const double high = *std::min_element(values.begin() + below + 1, values.end());
  return low + (place - static_cast<double>(below)) * (high - low);
}

struct Standard {
  double mean, deviation;
};

Standard standard_inside(std::span<const float> values, double low, double high) {
  double sum = 0.0, squares = 0.0, count = 0.0;
  for (const float value : values) {
    if (value < low || value > high) continue;
    sum += value;
    count += 1.0;
  }
  const double mean = count > 0.0 ? sum / count : 0.0;
  for (const float value : values) {
    if (value >= low && value <= high) squares += (value - mean) * (value - mean);
  }
  return {mean, std::max(count > 0.0 ? std::sqrt(squares / count) : 0.0, 1e-8)};
}

// totals[j] = sum over the rows of of(weight).
template <typename Of>
std::vector<double> column_totals(Matrix<const float> weights, Of of) {
  std::vector<double> totals(static_cast<size_t>(weights.shape[1]), 0.0);
  for (int64_t o = 0; o < weights.shape[0]; ++o) {
    for (size_t j = 0; j < totals.size(); ++j) totals[j] += of(static_cast<double>(weights.row(o)[j]), j);
  }
  return totals;
}

}  // namespace

std::vector<float> amber_gains(Matrix<const float> weights) {
  if (weights.elements() == 0) return {};
  std::vector<float> all(weights.data, weights.data + weights.elements());
  const double low = quantile(all, 0.005), high = quantile(all, 0.995);
  const Standard standard =
      standard_inside({weights.data, static_cast<size_t>(weights.elements())}, low, high);
  const std::vector<double> squares = column_totals(weights, [&](double weight, size_t) {
    const double standardised = (weight - standard.mean) / standard.deviation;
    return standardised * standardised;
  });
  const double least = std::max(std::sqrt(*std::min_element(squares.begin(), squares.end())), 1e-8);
  std::vector<float> gains;
  for (const double square : squares) gains.push_back(static_cast<float>(std::sqrt(square) / least));
  return gains;
}

std::vector<float> weight_variances(Matrix<const float> weights) {
  const double outputs = static_cast<double>(weights.shape[0]);
  const std::vector<double> sums = column_totals(weights, [](double weight, size_t) { return weight; });
  const std::vector<double> squares = column_totals(weights, [&](double weight, size_t j) {
    const double centred = weight - sums[j] / outputs;
    return centred * centred;
  });
  std::vector<float> variances;
  for (const double square : squares)
    variances.push_back(outputs < 2.0 ? 0.0f : static_cast<float>(square / (outputs - 1.0)));
  return variances;
}

std::vector<float> weight_peaks(Matrix<const float> weights) {
  std::vector<float> peaks(static_cast<size_t>(weights.shape[1]), 1e-8f);
  for (int64_t o = 0; o < weights.shape[0]; ++o) {
    for (size_t j = 0; j < peaks.size(); ++j) peaks[j] = std::max(peaks[j], std::abs(weights.row(o)[j]));
  }
  return peaks;
}

std::vector<float> weighted_row_sums(Matrix<const float> weights, std::span<const float> factors) {
  std::vector<float> sums;
  for (int64_t o = 0; o < weights.shape[0]; ++o) {
    double sum = 0.0;
    for (int64_t j = 0; j < weights.shape[1]; ++j)
      sum +=
          weights.row(o)[j] * (factors.empty() ? 1.0 : static_cast<double>(factors[static_cast<size_t>(j)]));
    sums.push_back(static_cast<float>(sum));
  }
  return sums;
}

}  // namespace orthant::models
