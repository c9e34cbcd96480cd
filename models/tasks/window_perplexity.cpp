#include "models/tasks/window_perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

// Tokens of one forward: enough rows for the products, few enough to keep memory small.
constexpr int64_t kForwardTokens = 2048;

}  // namespace

int64_t count_windows(int64_t tokens, int64_t window, int64_t max_windows, int64_t context_length) {
  if (window < 2 || window > context_length) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("window = {}", window),
                                    .why = fmt::format("the model's context is {} tokens", context_length),
                                    .suggestion = fmt::format("use 2 to {}", context_length)});
  }
  const int64_t windows = tokens / window;
  if (windows == 0) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("no whole window of {} tokens", window),
                                    .why = fmt::format("the text has {} tokens", tokens),
                                    .suggestion = "use a smaller --window or a longer text"});
  }
  return max_windows > 0 ? std::min(windows, max_windows) : windows;
}

std::vector<PairScore> window_scores(const Weights& weights,
                                     std::span<const std::span<const int32_t>> windows, int64_t together,
                                     LogitRounding rounding, const ModelPruning* pruning, Memory& memory,
                                     Stream& stream) {
  std::vector<PairScore> sums;
  if (windows.empty()) return sums;
  const auto length = static_cast<int64_t>(windows[0].size()), count = static_cast<int64_t>(windows.size());
  if (together == 0) together = std::max<int64_t>(1, kForwardTokens / length);
  together = std::min(together, count);
  TokenScorer scorer(weights, {together * length, together, length}, memory, stream, rounding, pruning);
  for (int64_t first = 0; first < count; first += together) {
    BatchBuilder builder;
    std::vector<int64_t> rows;
    std::vector<int32_t> targets;
    for (int64_t w = first; w < std::min(first + together, count); ++w) {
      const auto window = windows[static_cast<size_t>(w)];
      require(static_cast<int64_t>(window.size()) == length, "windows have one length");
      for (int64_t i = 0; i + 1 < length; ++i) rows.push_back(builder.tokens() + i);
      targets.insert(targets.end(), window.begin() + 1, window.end());
      builder.add(window);
    }
    const std::vector<TokenScore> scores = scorer.score(builder.batch(), rows, targets);
    const auto scored = static_cast<size_t>(length - 1);
    for (size_t begin = 0; begin < scores.size(); begin += scored)
      sums.push_back(sum_of(std::span(scores).subspan(begin, scored)));
  }
  return sums;
}

std::vector<double> window_nll(const Weights& weights, std::span<const int32_t> ids, int64_t window,
                               Share share, const std::function<void(int64_t)>& progress, Memory& memory,
                               Stream& stream, const ModelPruning* pruning, int64_t together) {
  std::vector<double> nll;
  if (together == 0) together = std::max<int64_t>(1, kForwardTokens / window);
  for (int64_t first = share.first; first < share.end(); first += together) {
    std::vector<std::span<const int32_t>> windows;
    for (int64_t w = first; w < std::min(first + together, share.end()); ++w)
      windows.push_back(ids.subspan(static_cast<size_t>(w * window), static_cast<size_t>(window)));
    for (const PairScore& score :
         window_scores(weights, windows, together, LogitRounding::kNone, pruning, memory, stream))
      nll.push_back(-score.log_prob / static_cast<double>(score.tokens));
    progress(static_cast<int64_t>(nll.size()));
  }
  return nll;
}

double perplexity_of(std::span<const double> window_nll) {
  return std::exp(std::accumulate(window_nll.begin(), window_nll.end(), 0.0) /
                  static_cast<double>(window_nll.size()));
}

}  // namespace orthant::models
