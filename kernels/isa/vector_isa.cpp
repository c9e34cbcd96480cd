#include "kernels/isa/exponential.h"
#include "kernels/isa/lanes.h"
#include "kernels/isa/vector.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kGroups = 4;

// Sums step(first, count) over pieces of 16, in kGroups independent chains; `step` adds a piece to a chain.
template <typename Step>
ORTHANT_LANES_INLINE float summed(int64_t n, Step step) {
  Lanes chains[kGroups];
#pragma GCC unroll 4
  for (int64_t g = 0; g < kGroups; ++g) chains[g] = broadcast(0.0f);
  int64_t i = 0;
  for (; i + kGroups * kLanes <= n; i += kGroups * kLanes) {
#pragma GCC unroll 4
    for (int64_t g = 0; g < kGroups; ++g) {
      chains[g] = step(
          chains[g], [](const float* from) { return load(from); }, i + g * kLanes);
    }
  }
#pragma GCC unroll 4
  for (int64_t g = 0; g < kGroups; ++g) {
    const int64_t first = i + g * kLanes;
    const int64_t count = n - first < kLanes ? n - first : kLanes;
    if (count <= 0) break;
    chains[g] = step(
        chains[g], [&](const float* from) { return load_first(from, count); }, first);
  }
  return folded_sum((chains[0] + chains[1]) + (chains[2] + chains[3]));
}

// Calls piece(load, store, first) for each piece of 16 elements, the last one partial.
template <typename Piece>
ORTHANT_LANES_INLINE void each_piece(int64_t n, Piece piece) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    piece([](const auto* from) { return load(from); }, [](auto* to, Lanes a) { store(to, a); }, i);
  }
  if (i == n) return;
  const int64_t count = n - i;
  piece([&](const auto* from) { return load_first(from, count); },
        [&](auto* to, Lanes a) { store_first(to, a, count); }, i);
}

float dot(const float* a, const float* b, int64_t n) {
  return summed(n, [=](Lanes chain, auto get, int64_t i) { return fused(get(a + i), get(b + i), chain); });
}

float squared_norm(const float* x, int64_t n) {
  return summed(n, [=](Lanes chain, auto get, int64_t i) {
    const Lanes piece = get(x + i);
    return fused(piece, piece, chain);
  });
}

float sum(const float* x, int64_t n) {
  return summed(n, [=](Lanes chain, auto get, int64_t i) { return chain + get(x + i); });
}

float squared_distance(const float* x, const float* y, int64_t n) {
  return summed(n, [=](Lanes chain, auto get, int64_t i) {
    const Lanes difference = get(x + i) - get(y + i);
    return fused(difference, difference, chain);
  });
}

float maximum(const float* x, int64_t n) {
  float best = -__builtin_inff();
  if (n >= kLanes) {
    Lanes lanes = broadcast(best);
    // The last piece may overlap the one before: a maximum does not mind.
    for (int64_t i = 0; i < n; i += kLanes)
      lanes = larger(lanes, load(x + (i + kLanes <= n ? i : n - kLanes)));
    return folded_max(lanes);
  }
  for (int64_t i = 0; i < n; ++i) best = best > x[i] ? best : x[i];
  return best;
}

void axpy(float alpha, const float* x, float* y, int64_t n) {
  const Lanes factor = broadcast(alpha);
  each_piece(n, [=](auto get, auto put, int64_t i) { put(y + i, fused(factor, get(x + i), get(y + i))); });
}

void scale(float alpha, float* x, int64_t n) {
  const Lanes factor = broadcast(alpha);
  each_piece(n, [=](auto get, auto put, int64_t i) { put(x + i, factor * get(x + i)); });
}

void scaled_copy(float alpha, const float* x, float* y, int64_t n) {
  const Lanes factor = broadcast(alpha);
  each_piece(n, [=](auto get, auto put, int64_t i) { put(y + i, factor * get(x + i)); });
}

void add(const float* x, float* y, int64_t n) {
  each_piece(n, [=](auto get, auto put, int64_t i) { put(y + i, get(y + i) + get(x + i)); });
}

float exp_and_sum(float shift, float* x, int64_t n) {
  const Lanes offset = broadcast(shift);
  each_piece(n, [=](auto get, auto put, int64_t i) { put(x + i, exponential(get(x + i) - offset)); });
  return sum(x, n);
}

// `stored` is what is kept of the piece of v that begins at a column.
template <typename Second, typename Stored>
ORTHANT_LANES_INLINE void adam_pieces(const AdamFactors& factors, const float* gradient, float* parameter,
                                      float* m, Second* v, int64_t n, Stored stored) {
  const Lanes gradient_scale = broadcast(factors.gradient_scale);
  const Lanes beta1 = broadcast(factors.beta1), one_minus_beta1 = broadcast(factors.one_minus_beta1);
  const Lanes beta2 = broadcast(factors.beta2), one_minus_beta2 = broadcast(factors.one_minus_beta2);
  const Lanes step_size = broadcast(-factors.step_size), epsilon = broadcast(factors.epsilon);
  const Lanes root_correction = broadcast(factors.root_correction), decay = broadcast(factors.decay);
  each_piece(n, [=](auto get, auto put, int64_t i) {
    const Lanes g = gradient_scale * get(gradient + i);
    const Lanes first = fused(beta1, get(m + i), one_minus_beta1 * g);
    const Lanes second = fused(beta2, get(v + i), one_minus_beta2 * (g * g));
    put(m + i, first);
    put(v + i, stored(second, i));
    const Lanes divisor = fused(square_root(second), root_correction, epsilon);
    put(parameter + i, fused(step_size, first / divisor, decay * get(parameter + i)));
  });
}

void adam_row(const AdamFactors& factors, const float* gradient, float* parameter, float* m, float* v,
              int64_t n) {
  adam_pieces(factors, gradient, parameter, m, v, n, [](Lanes second, int64_t) { return second; });
}

void adam_row_bf16(const AdamFactors& factors, RoundingKey key, const float* gradient, float* parameter,
                   float* m, uint16_t* v, int64_t n) {
  adam_pieces(factors, gradient, parameter, m, v, n,
              [=](Lanes second, int64_t i) { return rounded_at_random(second, key, i); });
}

}  // namespace

namespace ORTHANT_ISA {

const VectorOps& vector_table() {
  static constexpr VectorOps kTable = {
      .dot = dot,
      .squared_norm = squared_norm,
      .sum = sum,
      .max = maximum,
      .axpy = axpy,
      .scale = scale,
      .scaled_copy = scaled_copy,
      .add = add,
      .squared_distance = squared_distance,
      .exp_and_sum = exp_and_sum,
      .adam_row = adam_row,
      .adam_row_bf16 = adam_row_bf16,
  };
  return kTable;
}

}  // namespace ORTHANT_ISA
}  // namespace orthant::kernels
