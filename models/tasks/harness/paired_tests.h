// Tests of two runs over the same documents, which see smaller differences than two standard errors do.
// Pure; thread-safe.
#pragma once

#include <cstdint>
#include <span>

namespace orthant::models {

// Of values that are 0 or 1. The p-value is the exact two-sided one (McNemar 1947 with the binomial
// distribution): of the documents in which the runs differ, half are expected either way.
struct McNemarTest {
  int64_t first_only = 0;   // documents that the first run alone gets right
  int64_t second_only = 0;  // that the second alone does
  double p_value = 1.0;     // 1 where there are none
};

// `first`, `second` [documents], in one order.
[[nodiscard]] McNemarTest mcnemar_test(std::span<const double> first, std::span<const double> second);

struct PairedDifference {
  double mean = 0.0;            // of second - first
  double standard_error = 0.0;  // standard deviation of the resampled means
  double low = 0.0;             // their 2.5 % and 97.5 % quantiles, with linear interpolation
  double high = 0.0;
};

// Documents are drawn with replacement, both runs together (Efron's percentile bootstrap). The draws are a
// function of `seed` and the number of documents alone. `first`, `second` [documents >= 1]; `resamples` >= 2.
[[nodiscard]] PairedDifference paired_bootstrap(std::span<const double> first, std::span<const double> second,
                                                uint64_t seed, int64_t resamples = 10000);

}  // namespace orthant::models
