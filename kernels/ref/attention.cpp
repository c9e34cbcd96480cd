#include "kernels/ref/attention.h"

#include <algorithm>
#include <cmath>

namespace orthant::kernels::ref {
namespace {

double dot(const float* a, const float* b, int64_t length) {
  double sum = 0.0;
  for (int64_t i = 0; i < length; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

std::vector<double> softmax(std::vector<double> scores) {
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0.0;
  for (double& score : scores) sum += score = std::exp(score - top);
  for (double& score : scores) score /= sum;
  return scores;
}

}  // namespace

std::vector<double> attention(const AttentionShape& shape, Matrix<const float> query, Matrix<const float> key,
                              Matrix<const float> value) {
  const int64_t width = shape.head_dim;
  std::vector<double> out(static_cast<size_t>(query.elements()), 0.0);
  for (int64_t row = 0; row < query.shape[0]; ++row) {
    for (int64_t head = 0; head < shape.heads; ++head) {
      const int64_t source = head / (shape.heads / shape.kv_heads) * width;
      std::vector<double> scores;
      for (int64_t past = 0; past <= row; ++past) {
        const double product = dot(query.row(row) + head * width, key.row(past) + source, width);
        scores.push_back(product / std::sqrt(static_cast<double>(width)));
      }
      const std::vector<double> weights = softmax(scores);
      for (int64_t past = 0; past <= row; ++past) {
        for (int64_t i = 0; i < width; ++i) {
          out[static_cast<size_t>(row * query.shape[1] + head * width + i)] +=
              weights[static_cast<size_t>(past)] * value.row(past)[source + i];
        }
      }
    }
  }
  return out;
}

}  // namespace orthant::kernels::ref
