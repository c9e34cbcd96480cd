#include "sae/diffing/activation_difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

// Sums of one place, before the histogram of cosines and the two vector sums.
enum Sum : size_t {
  kRows,
  kNorm,
  kOtherNorm,
  kDifferenceNorm,
  kRelative,
  kRatio,
  kNonZero,  // rows x that are not 0
  kCosine,
  kCosines,  // rows where neither is 0
  kSquares,
  kOtherSquares,
  kProducts,
  kErrors,  // |y - x|^2
  kSums
};

std::vector<size_t> begins_of(const std::vector<int64_t>& widths, int bins) {
  std::vector<size_t> begins = {0};
  for (const int64_t width : widths) {
    begins.push_back(begins.back() + kSums + static_cast<size_t>(bins) + 2 * static_cast<size_t>(width));
  }
  return begins;
}

void add_row(const float* x, const float* y, int64_t width, int bins, double* sums) {
  double* const histogram = sums + kSums;
  double* const sum_x = histogram + bins;
  double* const sum_y = sum_x + width;
  double squares = 0.0, other_squares = 0.0, products = 0.0, difference = 0.0;
  for (int64_t c = 0; c < width; ++c) {
    const double a = x[c], b = y[c];
    squares += a * a;
    other_squares += b * b;
    products += a * b;
    difference += (b - a) * (b - a);
    sum_x[c] += a;
    sum_y[c] += b;
  }
  const double norm = std::sqrt(squares), other_norm = std::sqrt(other_squares);
  sums[kRows] += 1.0;
  sums[kNorm] += norm;
  sums[kOtherNorm] += other_norm;
  sums[kDifferenceNorm] += std::sqrt(difference);
  sums[kSquares] += squares;
  sums[kOtherSquares] += other_squares;
  sums[kProducts] += products;
  sums[kErrors] += difference;
  if (norm > 0.0) {
    sums[kNonZero] += 1.0;
    sums[kRelative] += std::sqrt(difference) / norm;
    sums[kRatio] += other_norm / norm;
  }
  if (norm * other_norm > 0.0 && std::isfinite(norm * other_norm)) {
    const double cosine = products / (norm * other_norm);
    sums[kCosines] += 1.0;
    sums[kCosine] += cosine;
    histogram[static_cast<size_t>(std::clamp((cosine + 1.0) / 2.0 * bins, 0.0, bins - 1.0))] += 1.0;
  }
}

double ratio(double part, double whole) {
  return whole != 0.0 ? part / whole : 0.0;
}

}  // namespace

ActivationDifferenceSums::ActivationDifferenceSums(std::vector<int64_t> widths, int bins, int rank)
    : widths_(std::move(widths)),
      bins_(bins),
      begins_(begins_of(widths_, bins)),
      sums_("activation_sums", static_cast<int64_t>(begins_.back()), rank) {}

void ActivationDifferenceSums::take(std::span<const Matrix<const float>> first,
                                    std::span<const Matrix<const float>> other,
                                    std::span<const int64_t> counted) {
  require(first.size() == widths_.size() && other.size() == widths_.size(), "every place has its rows");
  double* const own = sums_.own().data();
  // Places are summed apart, so threads do not change the order of a sum.
#pragma omp parallel for schedule(dynamic)
  for (size_t place = 0; place < widths_.size(); ++place) {
    for (const int64_t row : counted) {
      add_row(first[place].row(row), other[place].row(row), widths_[place], bins_, own + begins_[place]);
    }
  }
}

ActivationDifference ActivationDifferenceSums::difference(size_t place) const {
  const double* const s = sums_.total().data() + begins_[place];
  const double rows = s[kRows];
  ActivationDifference found{.rows = static_cast<int64_t>(rows)};
  found.cosines = histogram_of({}, -1.0, 1.0, bins_);
  for (size_t b = 0; b < found.cosines.counts.size(); ++b) {
    found.cosines.counts[b] = static_cast<int64_t>(s[kSums + b]);
  }
  if (rows == 0.0) return found;
  if (!std::isfinite(s[kSquares]) || !std::isfinite(s[kOtherSquares])) {
    throw Error(ExitCode::kNonFinite, {.problem = fmt::format("the rows of place {} are not finite", place),
                                       .why = "their norms are not",
                                       .suggestion = "Look for the rows with orthant verify."});
  }
  const double* const sum_x = s + kSums + bins_;
  const double* const sum_y = sum_x + widths_[place];
  double mean_squares = 0.0, other_mean_squares = 0.0, mean_products = 0.0, shift = 0.0;
  for (int64_t c = 0; c < widths_[place]; ++c) {
    mean_squares += sum_x[c] * sum_x[c] / rows;
    other_mean_squares += sum_y[c] * sum_y[c] / rows;
    mean_products += sum_x[c] * sum_y[c] / rows;
    shift += (sum_y[c] - sum_x[c]) * (sum_y[c] - sum_x[c]);
  }
  // Rows that are all alike may round to less than nothing.
  const double variance = std::max(0.0, s[kSquares] - mean_squares);
  const double other_variance = std::max(0.0, s[kOtherSquares] - other_mean_squares);
  found.norm = s[kNorm] / rows;
  found.other_norm = s[kOtherNorm] / rows;
  found.difference_norm = s[kDifferenceNorm] / rows;
  found.relative_difference = ratio(s[kRelative], s[kNonZero]);
  found.norm_ratio = ratio(s[kRatio], s[kNonZero]);
  found.cosine = ratio(s[kCosine], s[kCosines]);
  found.explained_of_other = 1.0 - ratio(s[kErrors], other_variance);
  found.explained_of_first = 1.0 - ratio(s[kErrors], variance);
  found.correlation = ratio(s[kProducts] - mean_products, std::sqrt(variance * other_variance));
  found.mean_shift = std::sqrt(shift) / rows;
  return found;
}

}  // namespace orthant::sae
