#include "sae/diffing/matching_score.h"

#include <cmath>

#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

constexpr double kSame = 0.7;
constexpr double kMaybe = 0.5;

// Sums of a latent of the first dictionary, and of one of the other.
enum Of : size_t { kSquares, kFired, kProducts, kBoth, kSums };
enum OfOther : size_t { kOtherSquares, kOtherFired, kOtherSums };

}  // namespace

MatchingShares matching_shares(std::span<const double> scores) {
  MatchingShares shares;
  for (const double score : scores) {
    double& share = score > kSame ? shares.same : score > kMaybe ? shares.maybe : shares.different;
    share += 1.0 / static_cast<double>(scores.size());
  }
  return shares;
}

MatchingSums::MatchingSums(std::span<const int64_t> partner, int64_t other_latents, int rank)
    : partner_(partner.begin(), partner.end()),
      partner_of_(static_cast<size_t>(other_latents)),
      active_(partner.size(), 0.0f),
      sums_("matching_sums",
            static_cast<int64_t>(kSums * partner.size()) + static_cast<int64_t>(kOtherSums) * other_latents,
            rank) {
  for (size_t i = 0; i < partner_.size(); ++i) {
    if (partner_[i] >= 0) partner_of_[static_cast<size_t>(partner_[i])].push_back(static_cast<int64_t>(i));
  }
}

void MatchingSums::take(kernels::CodesView codes, kernels::CodesView other) {
  require(codes.rows() == other.rows(), "both dictionaries encode the same rows");
  double* const own = sums_.own().data();
  double* const of_other = own + kSums * partner_.size();
  for (int64_t row = 0; row < codes.rows(); ++row) {
    for (int64_t e = codes.row_offsets.data[row]; e < codes.row_offsets.data[row + 1]; ++e) {
      const auto latent = static_cast<size_t>(codes.latents.data[e]);
      const double value = codes.values.data[e];
      active_[latent] = codes.values.data[e];
      own[latent * kSums + kSquares] += value * value;
      own[latent * kSums + kFired] += value != 0.0 ? 1.0 : 0.0;
    }
    for (int64_t e = other.row_offsets.data[row]; e < other.row_offsets.data[row + 1]; ++e) {
      const auto latent = static_cast<size_t>(other.latents.data[e]);
      const double value = other.values.data[e];
      of_other[latent * kOtherSums + kOtherSquares] += value * value;
      of_other[latent * kOtherSums + kOtherFired] += value != 0.0 ? 1.0 : 0.0;
      if (value == 0.0) continue;
      for (const int64_t mate : partner_of_[latent]) {
        const auto at = static_cast<size_t>(mate);
        own[at * kSums + kProducts] += value * active_[at];
        own[at * kSums + kBoth] += active_[at] != 0.0f ? 1.0 : 0.0;
      }
    }
    for (int64_t e = codes.row_offsets.data[row]; e < codes.row_offsets.data[row + 1]; ++e) {
      active_[static_cast<size_t>(codes.latents.data[e])] = 0.0f;
    }
  }
}

MatchingScores MatchingSums::scores() const {
  const double* const own = sums_.total().data();
  const double* const of_other = own + kSums * partner_.size();
  MatchingScores found;
  for (size_t i = 0; i < partner_.size(); ++i) {
    const double* const sums = own + i * kSums;
    const bool has_partner = partner_[i] >= 0;
    const double* const mate =
        has_partner ? of_other + static_cast<size_t>(partner_[i]) * kOtherSums : nullptr;
    const double norms = has_partner ? std::sqrt(sums[kSquares]) * std::sqrt(mate[kOtherSquares]) : 0.0;
    found.score.push_back(norms > 0.0 ? sums[kProducts] / norms : 0.0);
    found.fired.push_back(static_cast<int64_t>(sums[kFired]));
    found.partner.push_back(has_partner ? static_cast<int64_t>(mate[kOtherFired]) : 0);
    found.both.push_back(static_cast<int64_t>(sums[kBoth]));
  }
  return found;
}

}  // namespace orthant::sae
