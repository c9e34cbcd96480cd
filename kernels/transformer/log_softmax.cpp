#include "kernels/transformer/log_softmax.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "kernels/dense/round_bf16.h"
#include "kernels/isa/vector.h"
#include "kernels/transformer/transformer_cuda.h"

namespace orthant::kernels {
namespace {

// Pieces are summed in f32 and added up in f64.
constexpr int64_t kPiece = 1024;

double log_sum_exp(const float* logits, int64_t width, float top) {
  float piece[kPiece];
  double sum = 0.0;
  for (int64_t begin = 0; begin < width; begin += kPiece) {
    const int64_t count = std::min(kPiece, width - begin);
    std::copy_n(logits + begin, count, piece);
    sum += static_cast<double>(vector_ops().exp_and_sum(top, piece, count));
  }
  return static_cast<double>(top) + std::log(sum);
}

// Ties to the lowest; 0 where there are NaNs only.
int32_t index_of(const float* logits, int64_t width, float value) {
  const float* found = std::find(logits, logits + width, value);
  return found == logits + width ? 0 : static_cast<int32_t>(found - logits);
}

double row_divergence(const float* p, double p_log_sum, const float* q, double q_log_sum, int64_t width) {
  float probability[kPiece];
  float log_ratio[kPiece];
  const auto shift = static_cast<float>(p_log_sum);
  const auto offset = static_cast<float>(p_log_sum - q_log_sum);
  double total = 0.0;
  double mass = 0.0;
  for (int64_t begin = 0; begin < width; begin += kPiece) {
    const int64_t count = std::min(kPiece, width - begin);
    std::copy_n(p + begin, count, probability);
    mass += static_cast<double>(vector_ops().exp_and_sum(shift, probability, count));
    for (int64_t i = 0; i < count; ++i) log_ratio[i] = p[begin + i] - q[begin + i] - offset;
    total += static_cast<double>(vector_ops().dot(probability, log_ratio, count));
  }
  return total / mass;
}

}  // namespace

void log_normalizers(Matrix<const float> logits, Vector<double> log_sums, Vector<int32_t> largest,
                     Stream& stream) {
  const int64_t width = logits.shape[1];
  require(width >= 1 && log_sums.shape[0] == logits.shape[0] && largest.shape[0] == logits.shape[0],
          "log_normalizers shapes agree");
  if (logits.device.kind == DeviceKind::kCuda)
    return cuda::log_normalizers(logits, log_sums, largest, stream);
#pragma omp parallel for schedule(static) if (logits.elements() > 16384)
  for (int64_t row = 0; row < logits.shape[0]; ++row) {
    const float* from = logits.row(row);
    const float top = vector_ops().max(from, width);
    largest.data[row] = index_of(from, width, top);
    log_sums.data[row] = log_sum_exp(from, width, top);
  }
}

void log_softmax_bf16(Matrix<float> logits, Vector<double> log_sums, Vector<int32_t> largest,
                      Stream& stream) {
  const int64_t width = logits.shape[1];
  require(width >= 1 && log_sums.shape[0] == logits.shape[0] && largest.shape[0] == logits.shape[0],
          "log_softmax_bf16 shapes agree");
  if (logits.device.kind == DeviceKind::kCuda)
    return cuda::log_softmax_bf16(logits, log_sums, largest, stream);
#pragma omp parallel for schedule(static) if (logits.elements() > 16384)
  for (int64_t row = 0; row < logits.shape[0]; ++row) {
    float* values = logits.row(row);
    const std::span<float> all(values, static_cast<size_t>(width));
    round_bf16(all);
    log_sums.data[row] = log_sum_exp(values, width, vector_ops().max(values, width));
    const auto log_sum = static_cast<float>(log_sums.data[row]);
    for (float& value : all) value -= log_sum;
    round_bf16(all);
    largest.data[row] = index_of(values, width, vector_ops().max(values, width));
  }
}

void logits_of(Matrix<const float> logits, Vector<const int32_t> token_ids, Vector<float> out,
               Stream& stream) {
  require(token_ids.shape[0] == logits.shape[0] && out.shape[0] == logits.shape[0], "logits_of shapes agree");
  if (logits.device.kind == DeviceKind::kCuda) return cuda::logits_of(logits, token_ids, out, stream);
  for (int64_t row = 0; row < logits.shape[0]; ++row) {
    const int32_t token = token_ids.data[row];
    require(token >= 0 && token < logits.shape[1], "token ids lie inside the vocabulary");
    out.data[row] = logits.row(row)[token];
  }
}

void kl_divergence(Matrix<const float> p_logits, Vector<const double> p_log_sums,
                   Matrix<const float> q_logits, Vector<const double> q_log_sums, Vector<double> divergence,
                   Stream& stream) {
  require(p_logits.shape == q_logits.shape && divergence.shape[0] == p_logits.shape[0],
          "kl_divergence shapes agree");
  if (p_logits.device.kind == DeviceKind::kCuda) {
    return cuda::kl_divergence(p_logits, p_log_sums, q_logits, q_log_sums, divergence, stream);
  }
#pragma omp parallel for schedule(static) if (p_logits.elements() > 16384)
  for (int64_t row = 0; row < p_logits.shape[0]; ++row) {
    divergence.data[row] = row_divergence(p_logits.row(row), p_log_sums.data[row], q_logits.row(row),
                                          q_log_sums.data[row], p_logits.shape[1]);
  }
}

}  // namespace orthant::kernels
