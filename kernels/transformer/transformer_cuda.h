// CUDA bodies of the rows of a language model (rms_norm.h, rope.h, swiglu.h, chosen_rows.h, log_softmax.h)
// and of attention.h, called after their argument checks; without CUDA in the build they throw. A row's
// arithmetic does not depend on the other rows.
#pragma once

#include <span>

#include "kernels/transformer/attention.h"
#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels::cuda {

void rms_norm(Matrix<const float> x, Vector<const float> weight, float epsilon, Matrix<float> out,
              Stream& stream);
void rotate_heads(Matrix<float> x, Vector<const int32_t> positions, Matrix<const float> cosines,
                  Matrix<const float> sines, Stream& stream);
void swiglu(Matrix<const float> gate, Matrix<const float> up, Matrix<float> out, Stream& stream);
// Rows of numbers outside the table become NaN.
void gather_rows(Matrix<const float> table, Vector<const int32_t> chosen, Matrix<float> out, Stream& stream);
// Rows of numbers outside `into` go nowhere.
void scatter_rows(Matrix<const float> from, Vector<const int32_t> chosen, Matrix<float> into, Stream& stream);
void log_normalizers(Matrix<const float> logits, Vector<double> log_sums, Vector<int32_t> largest,
                     Stream& stream);
void log_softmax_bf16(Matrix<float> logits, Vector<double> log_sums, Vector<int32_t> largest, Stream& stream);
// NaN for a token outside the vocabulary.
void logits_of(Matrix<const float> logits, Vector<const int32_t> token_ids, Vector<float> out,
               Stream& stream);
void kl_divergence(Matrix<const float> p_logits, Vector<const double> p_log_sums,
                   Matrix<const float> q_logits, Vector<const double> q_log_sums, Vector<double> divergence,
                   Stream& stream);
void store_keys_values(const AttentionShape& shape, std::span<const AttentionSequence> sequences,
                       Matrix<const float> key, Matrix<const float> value, Stream& stream);
// Heads have at most kWidestHead elements.
inline constexpr int64_t kWidestHead = 256;
void attention(const AttentionShape& shape, std::span<const AttentionSequence> sequences,
               Matrix<const float> query, Matrix<float> out, Stream& stream);

}  // namespace orthant::kernels::cuda
