#include "kernels/ref/neighbour.h"

#include <cmath>
#include <limits>

namespace orthant::kernels::ref {
namespace {

template <typename T>
double cosine(const T* a, const T* b, int64_t n) {
  double dot = 0.0, aa = 0.0, bb = 0.0;
  for (int64_t i = 0; i < n; ++i) {
    const double x = a[i], y = b[i];
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return dot / std::sqrt(aa * bb);
}

}  // namespace

std::vector<Neighbour> nearest_neighbour(Matrix<const float> queries, Matrix<const float> candidates,
                                         const std::vector<int64_t>& excluded) {
  std::vector<Neighbour> result;
  for (int64_t q = 0; q < queries.shape[0]; ++q) {
    Neighbour best{-std::numeric_limits<double>::infinity(), -1};
    for (int64_t c = 0; c < candidates.shape[0]; ++c) {
      if (c == excluded[static_cast<size_t>(q)]) continue;
      const double value = cosine(queries.row(q), candidates.row(c), queries.shape[1]);
      if (value > best.cosine) best = {value, c};
    }
    result.push_back(best);
  }
  return result;
}

double squared_cosine(const std::vector<double>& a, const std::vector<double>& b) {
  const double value = cosine(a.data(), b.data(), static_cast<int64_t>(a.size()));
  return value * value;
}

}  // namespace orthant::kernels::ref
