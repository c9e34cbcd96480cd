// Hot operations on rows of floats, compiled once per instruction set and reached through a table.
//
// Every instruction set gives the same bits: sums run in four groups of 16 lanes, added as (0 + 1) + (2 + 3)
// and then folded by halves; every multiply-add is fused. Pointers need no alignment; n may be 0.
// Thread-safe.
#pragma once

#include <stdint.h>

#include "kernels/isa/rounding_draw.h"

namespace orthant::kernels {

enum class Isa;

// One Adam update in the form that a row needs; what depends on the step is computed by the caller in f64.
struct AdamFactors {
  float gradient_scale;          // g = gradient_scale * gradient
  float beta1, one_minus_beta1;  // m = beta1 * m + one_minus_beta1 * g
  float beta2, one_minus_beta2;  // v = beta2 * v + one_minus_beta2 * g^2
  float step_size;               // lr / (1 - beta1^step)
  float root_correction;         // 1 / sqrt(1 - beta2^step)
  float epsilon;                 // p -= step_size * m / (sqrt(v) * root_correction + epsilon)
  float decay;                   // p is first multiplied by this: 1 - lr * weight_decay
};

struct VectorOps {
  float (*dot)(const float* a, const float* b, int64_t n);
  float (*squared_norm)(const float* x, int64_t n);
  float (*sum)(const float* x, int64_t n);
  // -infinity for n = 0; unspecified where there are NaNs.
  float (*max)(const float* x, int64_t n);
  // y += alpha * x.
  void (*axpy)(float alpha, const float* x, float* y, int64_t n);
  // x *= alpha.
  void (*scale)(float alpha, float* x, int64_t n);
  // y = alpha * x.
  void (*scaled_copy)(float alpha, const float* x, float* y, int64_t n);
  // y += x.
  void (*add)(const float* x, float* y, int64_t n);
  // |x - y|^2.
  float (*squared_distance)(const float* x, const float* y, int64_t n);
  // x = exp(x - shift), relative error below 2e-7, 0 where x - shift < -87; returns the sum. x - shift <= 88.
  float (*exp_and_sum)(float shift, float* x, int64_t n);
  void (*adam_row)(const AdamFactors& factors, const float* gradient, float* parameter, float* m, float* v,
                   int64_t n);
  // The same with v in bf16: widened, updated, used, and rounded by the draws of `key` where it is stored.
  void (*adam_row_bf16)(const AdamFactors& factors, RoundingKey key, const float* gradient, float* parameter,
                        float* m, uint16_t* v, int64_t n);
};

// The table of one instruction set; calling it needs supported_here(isa).
[[nodiscard]] const VectorOps& vector_ops(Isa isa);
// The table of active_isa().
[[nodiscard]] const VectorOps& vector_ops();

namespace scalar {
const VectorOps& vector_table();
}
namespace avx2 {
const VectorOps& vector_table();
}
namespace avx512 {
const VectorOps& vector_table();
}

}  // namespace orthant::kernels
