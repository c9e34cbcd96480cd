// SparseGPT as its formulas say it, in double precision: an explicit inverse, one input at a time, every
// input after it told at once.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

namespace orthant::testing {

using Square = std::vector<std::vector<double>>;

inline Square inverse_of(Square a) {
  const size_t n = a.size();
  Square inverse(n, std::vector<double>(n, 0.0));
  for (size_t i = 0; i < n; ++i) inverse[i][i] = 1.0;
  for (size_t c = 0; c < n; ++c) {
    const double pivot = a[c][c];
    for (size_t j = 0; j < n; ++j) a[c][j] /= pivot, inverse[c][j] /= pivot;
    for (size_t r = 0; r < n; ++r) {
      const double factor = a[r][c];
      if (r == c) continue;
      for (size_t j = 0; j < n; ++j) a[r][j] -= factor * a[c][j], inverse[r][j] -= factor * inverse[c][j];
    }
  }
  return inverse;
}

// U, upper triangular, with U^T U = a.
inline Square upper_cholesky(const Square& a) {
  const size_t n = a.size();
  Square u(n, std::vector<double>(n, 0.0));
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = i; j < n; ++j) {
      double rest = a[i][j];
      for (size_t k = 0; k < i; ++k) rest -= u[k][i] * u[k][j];
      u[i][j] = i == j ? std::sqrt(rest) : rest / u[i][i];
    }
  }
  return u;
}

// 2 / crops * sum of x x^T, damped; an input that is always 0 counts as 1.
inline Square damped_hessian(const std::vector<std::vector<std::vector<double>>>& crops) {
  const size_t n = crops[0][0].size();
  Square h(n, std::vector<double>(n, 0.0));
  for (const auto& crop : crops) {
    for (const auto& x : crop) {
      for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < n; ++j) h[i][j] += 2.0 / static_cast<double>(crops.size()) * x[i] * x[j];
      }
    }
  }
  double mean = 0.0;
  for (size_t i = 0; i < n; ++i) {
    if (h[i][i] == 0.0) h[i][i] = 1.0;
    mean += h[i][i] / static_cast<double>(n);
  }
  for (size_t i = 0; i < n; ++i) h[i][i] += 0.01 * mean;
  return h;
}

// keep of group (> 0), or the share of each 128 inputs.
struct ReferencePattern {
  size_t keep = 0, group = 0;
  double share = 0.0;
};

inline void reference_sparse_gpt(Square& w, const Square& u, const ReferencePattern& pattern) {
  const size_t outputs = w.size(), n = u.size();
  const auto score = [&](size_t o, size_t i) { return std::pow(w[o][i] / u[i][i], 2); };
  std::vector<std::vector<bool>> removed(outputs, std::vector<bool>(n, false));
  for (size_t i = 0; i < n; ++i) {
    if (pattern.group > 0 && i % pattern.group == 0) {
      for (size_t o = 0; o < outputs; ++o) {
        std::vector<size_t> order(pattern.group);
        std::iota(order.begin(), order.end(), i);
        std::stable_sort(order.begin(), order.end(),
                         [&](size_t a, size_t b) { return score(o, a) > score(o, b); });
        for (size_t p = pattern.keep; p < pattern.group; ++p) removed[o][order[p]] = true;
      }
    }
    if (pattern.group == 0 && i % 128 == 0) {
      const size_t end = std::min(i + 128, n);
      std::vector<double> scores;
      for (size_t o = 0; o < outputs; ++o) {
        for (size_t j = i; j < end; ++j) scores.push_back(score(o, j));
      }
      std::vector<double> sorted = scores;
      std::sort(sorted.begin(), sorted.end());
      const double threshold =
          sorted[static_cast<size_t>(static_cast<double>(sorted.size()) * pattern.share)];
      for (size_t o = 0; o < outputs; ++o) {
        for (size_t j = i; j < end; ++j) removed[o][j] = scores[o * (end - i) + j - i] < threshold;
      }
    }
    for (size_t o = 0; o < outputs; ++o) {
      if (!removed[o][i]) continue;
      const double error = w[o][i] / u[i][i];
      w[o][i] = 0.0;
      for (size_t j = i + 1; j < n; ++j) w[o][j] -= error * u[i][j];
    }
  }
}

}  // namespace orthant::testing
