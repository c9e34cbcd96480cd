#include "models/tasks/harness/paired_tests.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/rng.h"

namespace orthant::models {
namespace {

// P(X <= least) for X binomial with `count` draws of probability 1/2.
double lower_tail(int64_t count, int64_t least) {
  double log_term = -static_cast<double>(count) * std::numbers::ln2;
  double sum = std::exp(log_term);
  for (int64_t k = 1; k <= least; ++k) {
    log_term += std::log(static_cast<double>(count - k + 1) / static_cast<double>(k));
    sum += std::exp(log_term);
  }
  return sum;
}

// The mean of as many differences as there are, drawn with replacement.
double resampled_mean(std::span<const double> differences, uint64_t seed, uint32_t resample) {
  const uint64_t count = differences.size();
  double sum = 0.0;
  for (uint64_t i = 0; i < count; i += 4) {
    const auto words = random_words(seed, Purpose::kPairedBootstrap, resample, i / 4);
    for (uint64_t w = 0; w < std::min<uint64_t>(4, count - i); ++w) {
      sum += differences[words[w] * count >> 32];
    }
  }
  return sum / static_cast<double>(count);
}

// `sorted` rises.
double quantile(std::span<const double> sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double mean_of(std::span<const double> values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

}  // namespace

McNemarTest mcnemar_test(std::span<const double> first, std::span<const double> second) {
  require(first.size() == second.size(), "both runs have the same documents");
  McNemarTest test;
  for (size_t d = 0; d < first.size(); ++d) {
    for (const double value : {first[d], second[d]}) {
      require(value == 0.0 || value == 1.0, "a document is right or wrong");
    }
    test.first_only += first[d] > second[d] ? 1 : 0;
    test.second_only += second[d] > first[d] ? 1 : 0;
  }
  const int64_t differing = test.first_only + test.second_only;
  test.p_value = std::min(1.0, 2.0 * lower_tail(differing, std::min(test.first_only, test.second_only)));
  return test;
}

PairedDifference paired_bootstrap(std::span<const double> first, std::span<const double> second,
                                  uint64_t seed, int64_t resamples) {
  require(first.size() == second.size() && !first.empty(), "both runs have the same documents");
  require(first.size() < uint64_t{1} << 32, "there are fewer than 2^32 documents");
  require(resamples >= 2, "a bootstrap resamples");
  std::vector<double> differences;
  for (size_t d = 0; d < first.size(); ++d) differences.push_back(second[d] - first[d]);
  std::vector<double> means;
  for (int64_t r = 0; r < resamples; ++r) {
    means.push_back(resampled_mean(differences, seed, static_cast<uint32_t>(r)));
  }
  const double centre = mean_of(means);
  double squares = 0.0;
  for (const double mean : means) squares += (mean - centre) * (mean - centre);
  std::sort(means.begin(), means.end());
  return {.mean = mean_of(differences),
          .standard_error = std::sqrt(squares / static_cast<double>(resamples - 1)),
          .low = quantile(means, 0.025),
          .high = quantile(means, 0.975)};
}

}  // namespace orthant::models
