#include "runtime/report/pareto.h"

#include <algorithm>
#include <cmath>

#include "runtime/core/error.h"

namespace orthant {

std::vector<size_t> pareto_frontier(std::span<const double> costs, std::span<const double> gains) {
  require(costs.size() == gains.size(), "every point has a cost and a gain");
  std::vector<size_t> order;
  for (size_t i = 0; i < costs.size(); ++i) {
    if (std::isfinite(costs[i]) && std::isfinite(gains[i])) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return costs[a] != costs[b] ? costs[a] < costs[b] : gains[a] > gains[b];
  });
  std::vector<size_t> frontier;
  for (const size_t i : order) {
    if (frontier.empty() || gains[i] > gains[frontier.back()]) frontier.push_back(i);
  }
  return frontier;
}

}  // namespace orthant
