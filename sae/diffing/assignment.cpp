#include "sae/diffing/assignment.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

constexpr int64_t kNone = -1;

// What a row gains most by, and what it would gain by its next choice; having nothing gains 0.
struct Offer {
  int64_t column = kNone;
  double gain = 0.0;
  double next_gain = 0.0;
};

Offer best_offer(const std::vector<Candidate>& candidates, std::span<const double> prices) {
  Offer offer;
  for (const Candidate& each : candidates) {
    const double gain = each.value - prices[static_cast<size_t>(each.column)];
    if (gain > offer.gain) {
      offer.next_gain = offer.gain;
      offer.gain = gain;
      offer.column = each.column;
    } else {
      offer.next_gain = std::max(offer.next_gain, gain);
    }
  }
  return offer;
}

double value_of(const std::vector<Candidate>& candidates, int64_t column) {
  const auto found = std::find_if(candidates.begin(), candidates.end(),
                                  [&](const Candidate& each) { return each.column == column; });
  return found->value;
}

}  // namespace

Assignment assign(std::span<const std::vector<Candidate>> candidates, std::span<const double> cuts,
                  int64_t columns, double epsilon) {
  require(epsilon > 0.0 && cuts.size() == candidates.size(), "rows have cuts, and bids rise");
  // Prices begin at 0 and only columns that somebody holds cost more: that is what makes the bound hold where
  // columns stay free.
  std::vector<double> prices(static_cast<size_t>(columns), 0.0);
  std::vector<int64_t> holder(static_cast<size_t>(columns), kNone);
  Assignment result{.column = std::vector<int64_t>(candidates.size(), kNone)};
  std::deque<size_t> waiting;
  for (size_t row = 0; row < candidates.size(); ++row) waiting.push_back(row);
  while (!waiting.empty()) {
    const size_t row = waiting.front();
    waiting.pop_front();
    const Offer offer = best_offer(candidates[row], prices);
    if (offer.column == kNone) continue;
    const auto column = static_cast<size_t>(offer.column);
    prices[column] += offer.gain - offer.next_gain + epsilon;
    if (const int64_t before = std::exchange(holder[column], static_cast<int64_t>(row)); before != kNone) {
      result.column[static_cast<size_t>(before)] = kNone;
      waiting.push_back(static_cast<size_t>(before));
    }
    result.column[row] = offer.column;
  }
  for (const double price : prices) result.bound += price;
  const double lowest_price = prices.empty() ? 0.0 : *std::min_element(prices.begin(), prices.end());
  result.bound_of_all_pairs = result.bound;
  for (size_t row = 0; row < candidates.size(); ++row) {
    const double gain = best_offer(candidates[row], prices).gain;
    result.bound += gain;
    result.bound_of_all_pairs += std::max(gain, cuts[row] - lowest_price);
    if (result.column[row] != kNone) result.sum += value_of(candidates[row], result.column[row]);
  }
  return result;
}

}  // namespace orthant::sae
