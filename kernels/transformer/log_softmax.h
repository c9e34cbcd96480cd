// From rows of logits to log-probabilities without a matrix of them. A row's arithmetic does not depend on
// the other rows, on threads or on instruction sets. Thread-safe for distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// log_sums[r] = log of the sum of exp(logits[r, v]) over v, so that log p(v) = logits[r, v] - log_sums[r];
// largest[r] = the v of the largest logit, ties to the lowest. `logits` [rows, vocabulary >= 1].
void log_normalizers(Matrix<const float> logits, Vector<double> log_sums, Vector<int32_t> largest,
                     Stream& stream);

// What a model whose logits are bf16 makes of them, in place: the logits are rounded, their log-probabilities
// are formed in f32 and rounded once, so that they have many ties. largest[r] = the lowest v of the largest
// one. log_sums[r] as above, of the rounded logits.
void log_softmax_bf16(Matrix<float> logits, Vector<double> log_sums, Vector<int32_t> largest, Stream& stream);

// out[r] = logits[r, token_ids[r]]. `logits` [rows, vocabulary], `token_ids`, `out` [rows]. A token outside
// the vocabulary throws on the CPU; on CUDA it gives NaN.
void logits_of(Matrix<const float> logits, Vector<const int32_t> token_ids, Vector<float> out,
               Stream& stream);

// divergence[r] = KL(p || q) = sum over v of p(v) (log p(v) - log q(v)), natural logarithms. `p_logits`,
// `q_logits` [rows, vocabulary]; `p_log_sums`, `q_log_sums` [rows] as log_normalizers() gives them.
void kl_divergence(Matrix<const float> p_logits, Vector<const double> p_log_sums,
                   Matrix<const float> q_logits, Vector<const double> q_log_sums, Vector<double> divergence,
                   Stream& stream);

}  // namespace orthant::kernels
