#include "kernels/isa/lanes.h"
#include "kernels/pruning/pruning_rows.h"

namespace orthant::kernels {
namespace {

// Plain loops of fixed extents, which the compiler turns into the lanes of each instruction set.

ORTHANT_LANES_INLINE int32_t bits(float x) {
  int32_t result;
  __builtin_memcpy(&result, &x, sizeof result);
  return result;
}

void scores(const float* x, const float* gains, int64_t width, int32_t* out) {
  if (gains == nullptr) {
    for (int64_t c = 0; c < width; ++c) out[c] = bits(x[c]) & 0x7fffffff;
    return;
  }
  for (int64_t c = 0; c < width; ++c) out[c] = bits(x[c] * gains[c]) & 0x7fffffff;
}

// As many integers as a register of the instruction set has.
#if defined(__AVX512F__)
constexpr int kIntegers = 16;
#elif defined(__AVX2__)
constexpr int kIntegers = 8;
#else
constexpr int kIntegers = 4;
#endif
using Integers [[gnu::vector_size(4 * kIntegers), gnu::aligned(4), gnu::may_alias]] = int32_t;

ORTHANT_LANES_INLINE const Integers& integers_at(const int32_t* from) {
  return *reinterpret_cast<const Integers*>(from);
}

// A score is beaten by a larger one and by an equal one before it: by those above `score - 1` before it and
// above `score` after it.
template <int kGroup>
void mark_groups_of(const int32_t* scores, int64_t keep, int64_t width, int32_t* survives) {
  const auto most = static_cast<int32_t>(keep);
  for (int64_t first = 0; first < width; first += kGroup) {
    const int32_t* const group = scores + first;
    int32_t beaten[kGroup] = {};
#pragma GCC unroll 16
    for (int by = 0; by < kGroup; ++by) {
      const int32_t other = group[by];
#pragma GCC unroll 16
      for (int i = 0; i < kGroup; ++i) beaten[i] -= other > group[i] - (by < i ? 1 : 0) ? 1 : 0;
    }
    for (int i = 0; i < kGroup; ++i) survives[first + i] = beaten[i] > -most ? -1 : 0;
  }
}

// The same for groups that take several registers, one after the other.
void mark_groups_of_32(const int32_t* scores, int64_t keep, int64_t width, int32_t* survives) {
  constexpr int kGroup = 32;
  Integers order = {};
  for (int i = 0; i < kIntegers; ++i) order[i] = i;
  const auto most = static_cast<int32_t>(keep);
  for (int64_t first = 0; first < width; first += kGroup) {
    const int32_t* const group = scores + first;
    for (int32_t part = 0; part < kGroup; part += kIntegers) {
      const Integers own = integers_at(group + part);
      Integers beaten = {};
      for (int32_t by = 0; by < part; ++by) beaten += group[by] > own - 1;
      for (int32_t by = 0; by < kIntegers; ++by) beaten += group[part + by] > own + (order > by);
      for (int32_t by = part + kIntegers; by < kGroup; ++by) beaten += group[by] > own;
      *reinterpret_cast<Integers*>(survives + first + part) = beaten > -most;
    }
  }
}

void mark_groups_any(const int32_t* scores, PrunePattern pattern, int64_t width, int32_t* survives) {
  for (int64_t first = 0; first < width; first += pattern.group) {
    for (int64_t i = 0; i < pattern.group; ++i) {
      int64_t beaten = 0;
      for (int64_t by = 0; by < pattern.group; ++by) {
        beaten += scores[first + by] > scores[first + i] - (by < i ? 1 : 0) ? 1 : 0;
      }
      survives[first + i] = beaten < pattern.keep ? -1 : 0;
    }
  }
}

void mark_groups(const int32_t* scores, PrunePattern pattern, int64_t width, int32_t* survives) {
  switch (pattern.group) {
    case 4:
      return mark_groups_of<4>(scores, pattern.keep, width, survives);
    case 8:
      return mark_groups_of<8>(scores, pattern.keep, width, survives);
    case 16:
      return mark_groups_of<16>(scores, pattern.keep, width, survives);
    case 32:
      return mark_groups_of_32(scores, pattern.keep, width, survives);
    default:
      return mark_groups_any(scores, pattern, width, survives);
  }
}

void order_keys(const float* x, int64_t width, int32_t* keys) {
  for (int64_t c = 0; c < width; ++c) {
    const int32_t value = bits(x[c]);
    keys[c] = value ^ ((value >> 31) & 0x7fffffff);
  }
}

ORTHANT_LANES_INLINE int64_t count_from(const int32_t* keys, int64_t count, int32_t least) {
  int64_t found = 0, i = 0;
  // Pieces whose count fits the lanes that the keys have.
  constexpr int64_t kPiece = 1 << 20, kStep = 4 * kIntegers;
  while (i + kStep <= count) {
    const int64_t end = count - i < kPiece ? count : i + kPiece;
    Integers sums[4] = {};
    for (; i + kStep <= end; i += kStep) {
#pragma GCC unroll 4
      for (int n = 0; n < 4; ++n) sums[n] += integers_at(keys + i + n * kIntegers) >= least;
    }
    const Integers all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    for (int lane = 0; lane < kIntegers; ++lane) found -= all[lane];
  }
  for (; i < count; ++i) found += keys[i] >= least ? 1 : 0;
  return found;
}

int32_t nth_largest(const int32_t* keys, int64_t count, int64_t nth) {
  int32_t key = count_from(keys, count, 0) >= nth ? 0 : INT32_MIN;
  for (int bit = 30; bit >= 0; --bit) {
    const int32_t larger = key | (int32_t{1} << bit);
    if (count_from(keys, count, larger) >= nth) key = larger;
  }
  return key;
}

void centered(const float* x, const float* centers, float center, int64_t width, float* out) {
  if (centers == nullptr) {
    for (int64_t c = 0; c < width; ++c) out[c] = x[c] - center;
    return;
  }
  for (int64_t c = 0; c < width; ++c) out[c] = x[c] - centers[c];
}

ORTHANT_LANES_INLINE float masked(float x, int32_t mask) {
  const int32_t kept = bits(x) & mask;
  float result;
  __builtin_memcpy(&result, &kept, sizeof result);
  return result;
}

void split(const float* x, const int32_t* survives, int64_t width, float* kept, float* rest) {
  if (rest != nullptr) {
    for (int64_t c = 0; c < width; ++c) rest[c] = masked(x[c], ~survives[c]);
  }
  for (int64_t c = 0; c < width; ++c) kept[c] = masked(x[c], survives[c]);
}

RowSums sums(const float* x, int64_t width) {
  constexpr int64_t kChains = 8;
  double values[kChains] = {}, squares[kChains] = {};
  int64_t c = 0;
  for (; c + kChains <= width; c += kChains) {
    for (int64_t i = 0; i < kChains; ++i) {
      const double value = x[c + i];
      values[i] += value;
      squares[i] += value * value;
    }
  }
  for (int64_t i = 0; c + i < width; ++i) {
    const double value = x[c + i];
    values[i] += value;
    squares[i] += value * value;
  }
  RowSums total{0.0, 0.0};
  for (int64_t i = 0; i < kChains; ++i) {
    total.values += values[i];
    total.squares += squares[i];
  }
  return total;
}

void mend(const MendedRow& row, float* y, int64_t outputs) {
  if (row.factor != nullptr) {
    for (int64_t o = 0; o < outputs; ++o) y[o] = *row.factor * y[o];
  }
  if (row.center != nullptr) {
    for (int64_t o = 0; o < outputs; ++o) y[o] = __builtin_fmaf(*row.center, row.weight_sums[o], y[o]);
  }
  if (row.column_factors != nullptr) {
    for (int64_t o = 0; o < outputs; ++o) y[o] = y[o] * row.column_factors[o];
  }
  if (row.column_offsets != nullptr) {
    for (int64_t o = 0; o < outputs; ++o) y[o] = y[o] + row.column_offsets[o];
  }
}

}  // namespace

namespace ORTHANT_ISA {

const PruningRows& pruning_table() {
  static constexpr PruningRows kTable = {
      .scores = scores,
      .mark_groups = mark_groups,
      .order_keys = order_keys,
      .nth_largest = nth_largest,
      .centered = centered,
      .split = split,
      .sums = sums,
      .mend = mend,
  };
  return kTable;
}

}  // namespace ORTHANT_ISA
}  // namespace orthant::kernels
