// How alike latents of two dictionaries fire on the same tokens:
//
//   MS(i, j) = sum of f_i f_j / (sqrt(sum of f_i^2) sqrt(sum of f_j^2))     over tokens
//
// (arXiv 2503.18878, appendix on other layers and models: same above 0.7, maybe above 0.5.) In one pass over
// codes, for one partner of each latent, at the cost of the entries. f64 sums with the same bits at any
// number of ranks (BlockSums). Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/codes/codes.h"
#include "runtime/job/block_sums.h"

namespace orthant::sae {

struct MatchingScores {
  std::vector<double> score;     // [latents] 0 where there is no partner or one of the two never fired
  std::vector<int64_t> fired;    // [latents] tokens
  std::vector<int64_t> partner;  // [latents] tokens where the partner fired; 0 where there is none
  std::vector<int64_t> both;     // [latents] tokens where both fired
};

// Shares of latents whose score is above 0.7, above 0.5, and not.
struct MatchingShares {
  double same = 0.0;
  double maybe = 0.0;
  double different = 0.0;
};
[[nodiscard]] MatchingShares matching_shares(std::span<const double> scores);

class MatchingSums {
 public:
  // `partner` [latents]: the latent of the other dictionary, or -1. Several may have the same one. `rank`:
  // see BlockSums.
  MatchingSums(std::span<const int64_t> partner, int64_t other_latents, int rank);

  // Local. Codes of the two dictionaries, row for row at the same tokens, of this rank's block.
  void take(kernels::CodesView codes, kernels::CodesView other);
  // Collective. Ends the round.
  void add(Communicator& ranks) { sums_.add(ranks); }

  // After all rounds.
  [[nodiscard]] MatchingScores scores() const;
  [[nodiscard]] BlockSums& state() { return sums_; }

 private:
  std::vector<int64_t> partner_;
  std::vector<std::vector<int64_t>> partner_of_;  // [other latents] latents that have it
  std::vector<float> active_;                     // [latents] of the row; 0 where it does not fire
  BlockSums sums_;
};

}  // namespace orthant::sae
