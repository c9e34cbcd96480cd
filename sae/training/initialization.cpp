#include "sae/training/initialization.h"

#include <algorithm>
#include <cmath>

namespace orthant::sae {
namespace {

constexpr int kMostRounds = 100;
constexpr double kTolerance = 1e-5;

double distance(const float* row, const std::vector<double>& point) {
  double squares = 0.0;
  for (size_t c = 0; c < point.size(); ++c) squares += (row[c] - point[c]) * (row[c] - point[c]);
  return std::sqrt(squares);
}

std::vector<double> weighted_mean(Matrix<const float> rows, const std::vector<double>& weights) {
  std::vector<double> mean(static_cast<size_t>(rows.shape[1]), 0.0);
  double total = 0.0;
  for (int64_t r = 0; r < rows.shape[0]; ++r) {
    const double weight = weights[static_cast<size_t>(r)];
    total += weight;
    for (size_t c = 0; c < mean.size(); ++c) mean[c] += weight * rows.row(r)[c];
  }
  for (double& value : mean) value /= total;
  return mean;
}

}  // namespace

std::vector<double> mean_row(Matrix<const float> rows) {
  return weighted_mean(rows, std::vector<double>(static_cast<size_t>(rows.shape[0]), 1.0));
}

std::vector<double> geometric_median(Matrix<const float> rows) {
  std::vector<double> point = mean_row(rows);
  std::vector<double> weights(static_cast<size_t>(rows.shape[0]));
  for (int round = 0; round < kMostRounds; ++round) {
#pragma omp parallel for
    for (int64_t r = 0; r < rows.shape[0]; ++r) {
      weights[static_cast<size_t>(r)] = 1.0 / std::max(distance(rows.row(r), point), 1e-12);
    }
    std::vector<double> next = weighted_mean(rows, weights);
    double moved = 0.0;
    for (size_t c = 0; c < next.size(); ++c) moved += (next[c] - point[c]) * (next[c] - point[c]);
    point = std::move(next);
    if (std::sqrt(moved) < kTolerance) break;
  }
  return point;
}

}  // namespace orthant::sae
