#include "kernels/isa/exponential.h"
#include "kernels/isa/lanes.h"
#include "kernels/transformer/transformer_rows.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kScores = 64;

template <int kRows>
ORTHANT_LANES_INLINE void rows_product(const PanelProduct& p, int64_t first) {
  Lanes sums[kRows];
  const float* a = p.a + first * p.a_stride;
  float* out = p.out + first * p.out_stride;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) sums[r] = load(out + r * p.out_stride);
  const float* b = p.b;
  for (int64_t k = 0; k < p.depth; ++k, b += p.b_stride) {
    const Lanes column = load(b);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) sums[r] = fused(broadcast(a[r * p.a_stride + k]), column, sums[r]);
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) store(out + r * p.out_stride, sums[r]);
}

void panel_product(const PanelProduct& p) {
  int64_t row = 0;
  for (; row + 6 <= p.rows; row += 6) rows_product<6>(p, row);
  for (; row + 2 <= p.rows; row += 2) rows_product<2>(p, row);
  if (row < p.rows) rows_product<1>(p, row);
}

ORTHANT_LANES_INLINE void rescale(float* x, int64_t count, Lanes factor) {
  for (int64_t i = 0; i < count; i += kLanes) store(x + i, load(x + i) * factor);
}

void softmax_block(float* scores, int64_t visible, const SoftmaxRow& row) {
  for (int64_t i = visible; i < kScores; ++i) scores[i] = -__builtin_inff();
  Lanes largest = broadcast(*row.top);
  for (int64_t i = 0; i < kScores; i += kLanes) largest = larger(load(scores + i), largest);
  const float top = folded_max(largest);
  if (top != *row.top) {
    const Lanes factor = exponential(broadcast(*row.top) - broadcast(top));
    rescale(row.weighted, row.width, factor);
    rescale(row.sums, kLanes, factor);
    *row.top = top;
  }
  Lanes sums = load(row.sums);
  for (int64_t i = 0; i < kScores; i += kLanes) {
    const Lanes weights = exponential(load(scores + i) - broadcast(top));
    store(scores + i, weights);
    sums = sums + weights;
  }
  store(row.sums, sums);
}

void softmax_finish(const SoftmaxRow& row, float* out, int64_t count) {
  const Lanes divisor = broadcast(folded_sum(load(row.sums)));
  for (int64_t i = 0; i < count; i += kLanes) {
    const Lanes quotient = load(row.weighted + i) / divisor;
    store_first(out + i, quotient, count - i < kLanes ? count - i : kLanes);
  }
}

// exp(-gate) is kept finite: below -87 the result is smaller than any normal number anyway.
ORTHANT_LANES_INLINE Lanes swiglu_lanes(Lanes gate, Lanes up) {
  const Lanes exponent = broadcast(0.0f) - larger(broadcast(-87.0f), gate);
  return gate / (broadcast(1.0f) + exponential(exponent)) * up;
}

void swiglu(const float* gate, const float* up, float* out, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(out + i, swiglu_lanes(load(gate + i), load(up + i)));
  if (i == count) return;
  const int64_t rest = count - i;
  store_first(out + i, swiglu_lanes(load_first(gate + i, rest), load_first(up + i, rest)), rest);
}

}  // namespace

namespace ORTHANT_ISA {

const TransformerRows& transformer_table() {
  static constexpr TransformerRows kTable = {
      .panel_product = panel_product,
      .softmax_block = softmax_block,
      .softmax_finish = softmax_finish,
      .swiglu = swiglu,
  };
  return kTable;
}

}  // namespace ORTHANT_ISA
}  // namespace orthant::kernels
