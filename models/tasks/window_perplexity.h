// Perplexity over non-overlapping windows of a token stream: window i is ids[i * window, (i + 1) * window), a
// short rest is dropped, and the window - 1 tokens after the first of each are scored inside the window.
//
// Not Collective: every rank scores the windows it is given. One thread.
#pragma once

#include <functional>
#include <vector>

#include "models/tasks/pair_scoring.h"
#include "runtime/core/share.h"

namespace orthant::models {

// Windows that `tokens` tokens hold; at most `max_windows` unless that is 0. Throws Error(kConfig) when there
// is none or the window is shorter than 2 or longer than the model's context.
[[nodiscard]] int64_t count_windows(int64_t tokens, int64_t window, int64_t max_windows,
                                    int64_t context_length);

// Mean negative log-likelihood, in nats, of each window of `share`, `together` windows a forward (0: as many
// as are fast). `progress` is called with the number of windows done and may throw to stop.
[[nodiscard]] std::vector<double> window_nll(const Weights& weights, std::span<const int32_t> ids,
                                             int64_t window, Share share,
                                             const std::function<void(int64_t)>& progress, Memory& memory,
                                             Stream& stream, const ModelPruning* pruning = nullptr,
                                             int64_t together = 0);

// Each of `windows`, all of one length, as a pair whose context is its first token: all its tokens are read.
// `together` windows a forward, in order (0: as many as are fast).
[[nodiscard]] std::vector<PairScore> window_scores(const Weights& weights,
                                                   std::span<const std::span<const int32_t>> windows,
                                                   int64_t together, LogitRounding rounding,
                                                   const ModelPruning* pruning, Memory& memory,
                                                   Stream& stream);

// exp of the mean over windows.
[[nodiscard]] double perplexity_of(std::span<const double> window_nll);

}  // namespace orthant::models
