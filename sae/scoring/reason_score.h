// ReasonScore (arXiv 2503.18878, section 3.1): how much more a latent fires near the words of a vocabulary
// than elsewhere, weighted by how evenly over the words. Pure functions of sums; thread-safe.
//
//   mu(i, D)   mean of latent i over the tokens of D, activations with unit decoder rows
//   p_i(g)   = mu(i, window of g) / (sum over groups of mu(i, window of h) + epsilon)
//   H_i      = - sum over groups of p_i ln p_i / ln groups     (1 where there is one group)
//   score_i  = mu(i, near) / (sum over latents of mu(j, near) + epsilon) H_i^alpha
//            - mu(i, far) / (sum over latents of mu(j, far) + epsilon)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace orthant::sae {

struct ReasonScoreOptions {
  double alpha = 0.7;
  double epsilon = 1e-12;
};

// Sums over the tokens of each group, then of `near` and `far`, of all latents.
struct WindowSums {
  int64_t groups = 0;
  int64_t latents = 0;
  std::span<const double> sums;     // [groups + 2, latents]
  std::span<const int64_t> counts;  // [groups + 2] tokens
  [[nodiscard]] double mean(int64_t group, int64_t latent) const {
    const int64_t count = counts[static_cast<size_t>(group)];
    return count == 0 ? 0.0
                      : sums[static_cast<size_t>(group * latents + latent)] / static_cast<double>(count);
  }
};

struct ReasonScores {
  std::vector<double> score;    // [latents]
  std::vector<double> entropy;  // [latents] H before its power
};

[[nodiscard]] ReasonScores reason_scores(const WindowSums& sums, ReasonScoreOptions options);

// The same without the entropy term (equation 3 where the windows are the hits themselves).
[[nodiscard]] std::vector<double> score_differences(const WindowSums& sums, double epsilon = 1e-12);

// Latents by falling score, ties to the lowest: the first `top`, or with top = 0 those above the `quantile`
// of all scores (linear between neighbours).
[[nodiscard]] std::vector<int64_t> best_latents(std::span<const double> scores, int64_t top, double quantile);

}  // namespace orthant::sae
