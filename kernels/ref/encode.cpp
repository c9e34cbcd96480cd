#include "kernels/ref/encode.h"

#include <algorithm>
#include <numeric>

#include "kernels/ref/gemm.h"

namespace orthant::kernels::ref {
namespace {

double rank_of(const std::vector<double>& row, const std::vector<double>& scale, size_t i) {
  return scale.empty() ? row[i] : row[i] * scale[i];
}

}  // namespace

std::vector<double> activations(Matrix<const float> x, Matrix<const float> w, Vector<const float> bias) {
  std::vector<double> result = matmul_nt(x, w);
  for (size_t i = 0; i < result.size(); ++i) {
    const double sum =
        result[i] + (bias.shape[0] == 0 ? 0.0 : bias.data[i % static_cast<size_t>(w.shape[0])]);
    result[i] = std::max(sum, 0.0);
  }
  return result;
}

std::vector<Entry> topk(const std::vector<double>& row, const std::vector<double>& scale, int64_t k) {
  std::vector<size_t> order(row.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return rank_of(row, scale, a) > rank_of(row, scale, b); });
  order.resize(std::min(order.size(), static_cast<size_t>(k)));
  std::sort(order.begin(), order.end());
  std::vector<Entry> entries;
  for (const size_t i : order) entries.push_back({static_cast<int64_t>(i), row[i]});
  return entries;
}

std::vector<Entry> above(const std::vector<double>& row, const std::vector<double>& scale, double threshold,
                         const std::vector<double>& thresholds) {
  std::vector<Entry> entries;
  for (size_t i = 0; i < row.size(); ++i) {
    if (rank_of(row, scale, i) > threshold && (thresholds.empty() || row[i] > thresholds[i])) {
      entries.push_back({static_cast<int64_t>(i), row[i]});
    }
  }
  return entries;
}

}  // namespace orthant::kernels::ref
