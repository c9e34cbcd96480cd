#include "sae/scoring/reason_score.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

// The mean of every latent over a group, as a share of all latents' means.
std::vector<double> shares_of(const WindowSums& sums, int64_t group, double epsilon) {
  std::vector<double> shares(static_cast<size_t>(sums.latents));
  for (int64_t i = 0; i < sums.latents; ++i) shares[static_cast<size_t>(i)] = sums.mean(group, i);
  const double total = std::accumulate(shares.begin(), shares.end(), 0.0) + epsilon;
  for (double& share : shares) share /= total;
  return shares;
}

double entropy_of(const WindowSums& sums, int64_t latent, double epsilon) {
  if (sums.groups == 1) return 1.0;
  double total = epsilon;
  for (int64_t g = 0; g < sums.groups; ++g) total += sums.mean(g, latent);
  double entropy = 0.0;
  for (int64_t g = 0; g < sums.groups; ++g) {
    const double p = sums.mean(g, latent) / total;
    if (p > 0.0) entropy -= p * std::log(p);
  }
  // epsilon leaves the shares a little below 1 in all, and rounding may leave less than nothing.
  return std::max(0.0, entropy / std::log(static_cast<double>(sums.groups)));
}

}  // namespace

ReasonScores reason_scores(const WindowSums& sums, ReasonScoreOptions options) {
  require(sums.groups > 0, "a vocabulary has a group");
  const std::vector<double> near = shares_of(sums, sums.groups, options.epsilon);
  const std::vector<double> far = shares_of(sums, sums.groups + 1, options.epsilon);
  ReasonScores found{.score = std::vector<double>(near.size()), .entropy = std::vector<double>(near.size())};
  for (size_t i = 0; i < near.size(); ++i) {
    found.entropy[i] = entropy_of(sums, static_cast<int64_t>(i), options.epsilon);
    found.score[i] = near[i] * std::pow(found.entropy[i], options.alpha) - far[i];
  }
  return found;
}

std::vector<double> score_differences(const WindowSums& sums, double epsilon) {
  std::vector<double> near = shares_of(sums, sums.groups, epsilon);
  const std::vector<double> far = shares_of(sums, sums.groups + 1, epsilon);
  for (size_t i = 0; i < near.size(); ++i) near[i] -= far[i];
  return near;
}

std::vector<int64_t> best_latents(std::span<const double> scores, int64_t top, double quantile) {
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  if (order.empty()) return order;
  if (top > 0) {
    order.resize(static_cast<size_t>(std::min<int64_t>(top, static_cast<int64_t>(order.size()))));
    return order;
  }
  // Of falling scores the quantile lies this far from the end.
  const double place = quantile * static_cast<double>(order.size() - 1);
  const auto below = static_cast<size_t>(place);
  const auto rising = [&](size_t rank) {
    return scores[static_cast<size_t>(order[order.size() - 1 - std::min(rank, order.size() - 1)])];
  };
  const double cut =
      rising(below) + (place - static_cast<double>(below)) * (rising(below + 1) - rising(below));
  const auto end = std::find_if(order.begin(), order.end(),
                                [&](int64_t i) { return scores[static_cast<size_t>(i)] <= cut; });
  order.erase(end, order.end());
  return order;
}

}  // namespace orthant::sae
