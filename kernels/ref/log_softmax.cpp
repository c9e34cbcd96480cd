#include "kernels/ref/log_softmax.h"

#include <algorithm>
#include <cmath>

namespace orthant::kernels::ref {

std::vector<double> log_normalizers(Matrix<const float> logits) {
  std::vector<double> out;
  for (int64_t row = 0; row < logits.shape[0]; ++row) {
    const float* from = logits.row(row);
    const double top = *std::max_element(from, from + logits.shape[1]);
    double sum = 0.0;
    for (int64_t v = 0; v < logits.shape[1]; ++v) sum += std::exp(from[v] - top);
    out.push_back(top + std::log(sum));
  }
  return out;
}

std::vector<double> kl_divergence(Matrix<const float> p_logits, Matrix<const float> q_logits) {
  const std::vector<double> p_sums = log_normalizers(p_logits);
  const std::vector<double> q_sums = log_normalizers(q_logits);
  std::vector<double> out;
  for (int64_t row = 0; row < p_logits.shape[0]; ++row) {
    double divergence = 0.0;
    for (int64_t v = 0; v < p_logits.shape[1]; ++v) {
      const double log_p = p_logits.row(row)[v] - p_sums[static_cast<size_t>(row)];
      const double log_q = q_logits.row(row)[v] - q_sums[static_cast<size_t>(row)];
      divergence += std::exp(log_p) * (log_p - log_q);
    }
    out.push_back(divergence);
  }
  return out;
}

}  // namespace orthant::kernels::ref
