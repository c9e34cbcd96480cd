// Double-precision reference of kernels/transformer/log_softmax.h.
#pragma once

#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::kernels::ref {

// [rows] log of the sum of exponentials.
[[nodiscard]] std::vector<double> log_normalizers(Matrix<const float> logits);
// [rows] KL(p || q).
[[nodiscard]] std::vector<double> kl_divergence(Matrix<const float> p_logits, Matrix<const float> q_logits);

}  // namespace orthant::kernels::ref
