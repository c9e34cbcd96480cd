#include "kernels/ref/pruning.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace orthant::kernels::ref {
namespace {

double variance(const std::vector<double>& x) {
  const double count = static_cast<double>(x.size());
  if (x.size() < 2) return 0.0;
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / count;
  double squares = 0.0;
  for (const double value : x) squares += (value - mean) * (value - mean);
  return squares / (count - 1.0);
}

double center_of(std::span<const float> x, RowCenter center) {
  if (center == RowCenter::kMean)
    return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
  std::vector<float> sorted(x.begin(), x.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted[(sorted.size() - 1) / 2];
}

}  // namespace

std::vector<bool> survivors(std::span<const float> scores, PrunePattern pattern) {
  const size_t group = pattern.group == 0 ? scores.size() : static_cast<size_t>(pattern.group);
  std::vector<bool> survives(scores.size(), false);
  for (size_t first = 0; first < scores.size(); first += group) {
    std::vector<size_t> order(group);
    std::iota(order.begin(), order.end(), first);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    for (int64_t i = 0; i < pattern.keep; ++i) survives[order[static_cast<size_t>(i)]] = true;
  }
  return survives;
}

PrunedRow pruned_row(std::span<const float> x, PrunePattern pattern, std::span<const float> gains,
                     RowCenter center, std::span<const float> given_center) {
  PrunedRow row;
  std::vector<float> centred(x.begin(), x.end()), scores;
  if (center == RowCenter::kMedian || center == RowCenter::kMean) row.center = center_of(x, center);
  for (size_t c = 0; c < x.size(); ++c) {
    if (center == RowCenter::kGiven) centred[c] -= given_center[c];
    if (center == RowCenter::kMedian || center == RowCenter::kMean)
      centred[c] -= static_cast<float>(row.center);
    scores.push_back(std::abs(gains.empty() ? centred[c] : centred[c] * gains[c]));
  }
  const std::vector<bool> survives = survivors(scores, pattern);
  for (size_t c = 0; c < x.size(); ++c) {
    row.kept.push_back(survives[c] ? centred[c] : 0.0);
    row.rest.push_back(survives[c] ? 0.0 : centred[c]);
  }
  const double before = variance({x.begin(), x.end()}), after = variance(row.kept);
  if (before > 0.0) row.factor = std::sqrt(before / std::max(after, 1e-9));
  return row;
}

}  // namespace orthant::kernels::ref
