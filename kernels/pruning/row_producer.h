// What makes the rows that are pruned, where they are pruned as they are made: RMSNorm or SwiGLU, whose
// output is then never stored whole. The bits are those of rms_norm and swiglu (kernels/transformer), on each
// device. Thread-safe.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// At most one of the two; neither: rows are taken as they are.
struct RowProducer {
  Vector<const float> norm_weight = {};  // [width]: the rows are RMSNorm(x) with it
  float norm_epsilon = 0.0f;
  Matrix<const float> up = {};  // [rows, width]: the rows are SwiGLU of the gate x and it
  [[nodiscard]] bool is_norm() const { return norm_weight.shape[0] > 0; }
  [[nodiscard]] bool is_gated() const { return up.shape[1] > 0; }
  [[nodiscard]] bool makes_rows() const { return is_norm() || is_gated(); }
};

// Throws unless the producer fits `x` [rows, width].
void require_fits(const RowProducer& producer, Matrix<const float> x);

// out = what the producer, which is one of the two, makes of x, both [rows, width]; `out` may be `x`.
void produce_rows(const RowProducer& producer, Matrix<const float> x, Matrix<float> out, Stream& stream);

// The row on the CPU: in `x` itself where there is nothing to make, else in `room` [width], which may be x's
// row.
[[nodiscard]] const float* produced_row(const RowProducer& producer, Matrix<const float> x, int64_t row,
                                        float* room);

}  // namespace orthant::kernels
