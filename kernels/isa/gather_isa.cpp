#include "kernels/isa/gather.h"
#include "kernels/isa/lanes.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kGroup = 4;           // rows in flight: their loads hide each other's latency
constexpr int64_t kTileColumns = 1024;  // of wide rows, so that a group and the one prefetched stay in L1

struct Group {
  const float* row[kGroup];
};

ORTHANT_LANES_INLINE const float* row_of(const GatheredRows& gathered, int64_t index) {
  return gathered.matrix + (gathered.rows[index] - gathered.first_row) * gathered.width;
}

// Rows [index, index + 4), clamped to the last one.
ORTHANT_LANES_INLINE Group group_of(const GatheredRows& gathered, int64_t index) {
  Group group;
  for (int64_t i = 0; i < kGroup; ++i) {
    group.row[i] = row_of(gathered, index + i < gathered.count ? index + i : gathered.count - 1);
  }
  return group;
}

// What is prefetched while the group at `index` is added: the next one, or what follows, or rows that are
// hot.
ORTHANT_LANES_INLINE Group group_after(const GatheredRows& gathered, int64_t index) {
  const bool last = index + kGroup >= gathered.count;
  const bool follows = last && gathered.following != nullptr && gathered.following->count > 0;
  return follows ? group_of(*gathered.following, 0) : group_of(gathered, index + kGroup);
}

ORTHANT_LANES_INLINE void prefetch(const Group& group, int64_t column) {
  for (int64_t i = 0; i < kGroup; ++i) __builtin_prefetch(group.row[i] + column);
}

ORTHANT_LANES_INLINE Lanes add_row(const float* row, float weight, Lanes sum) {
  return fused(broadcast(weight), load(row), sum);
}

ORTHANT_LANES_INLINE void add_group(const Group& group, const Group& next, const float* weights,
                                    int64_t first, int64_t last, float* sum) {
  int64_t column = first;
  for (; column + kLanes <= last; column += kLanes) {
    prefetch(next, column);
    Lanes total = load(sum + column);
#pragma GCC unroll 4
    for (int64_t i = 0; i < kGroup; ++i) total = add_row(group.row[i] + column, weights[i], total);
    store(sum + column, total);
  }
  for (; column < last; ++column) {
    float total = sum[column];
    for (int64_t i = 0; i < kGroup; ++i) total = __builtin_fmaf(weights[i], group.row[i][column], total);
    sum[column] = total;
  }
}

ORTHANT_LANES_INLINE void add_single(const float* row, const Group& next, float weight, int64_t first,
                                     int64_t last, float* sum) {
  int64_t column = first;
  for (; column + kLanes <= last; column += kLanes) {
    prefetch(next, column);
    store(sum + column, add_row(row + column, weight, load(sum + column)));
  }
  for (; column < last; ++column) sum[column] = __builtin_fmaf(weight, row[column], sum[column]);
}

void weighted_sum(const GatheredRows& gathered, const float* weights, float* sum) {
  for (int64_t first = 0; first < gathered.width; first += kTileColumns) {
    const int64_t last = first + kTileColumns < gathered.width ? first + kTileColumns : gathered.width;
    int64_t i = 0;
    for (; i + kGroup <= gathered.count; i += kGroup) {
      add_group(group_of(gathered, i), group_after(gathered, i), weights + i, first, last, sum);
    }
    for (; i < gathered.count; ++i) {
      add_single(row_of(gathered, i), group_after(gathered, i), weights[i], first, last, sum);
    }
  }
}

// A last group of fewer rows repeats its last row and drops the copies: one loop, one order of sums.
void dots(const GatheredRows& gathered, const float* vector, float* products) {
  const int64_t whole = gathered.width / kLanes * kLanes;
  for (int64_t i = 0; i < gathered.count; i += kGroup) {
    const Group group = group_of(gathered, i);
    const Group next = group_after(gathered, i);
    Lanes sums[kGroup] = {broadcast(0.0f), broadcast(0.0f), broadcast(0.0f), broadcast(0.0f)};
    for (int64_t column = 0; column < whole; column += kLanes) {
      prefetch(next, column);
      const Lanes x = load(vector + column);
#pragma GCC unroll 4
      for (int64_t j = 0; j < kGroup; ++j) sums[j] = fused(x, load(group.row[j] + column), sums[j]);
    }
    if (whole < gathered.width) {
      const int64_t rest = gathered.width - whole;
      const Lanes x = load_first(vector + whole, rest);
#pragma GCC unroll 4
      for (int64_t j = 0; j < kGroup; ++j)
        sums[j] = fused(x, load_first(group.row[j] + whole, rest), sums[j]);
    }
    for (int64_t j = 0; j < kGroup && i + j < gathered.count; ++j) products[i + j] = folded_sum(sums[j]);
  }
}

// The sum of all lanes in f64, folded by halves.
ORTHANT_LANES_INLINE double folded_sum_in_f64(Lanes a) {
  float lanes[kLanes];
  store(lanes, a);
  double sums[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) sums[i] = static_cast<double>(lanes[i]);
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

double error_row(const float* input, const float* reconstruction, float scale, int64_t width,
                 float* gradient) {
  const Lanes scales = broadcast(scale);
  Lanes squares = broadcast(0.0f);
  int64_t column = 0;
  for (; column + kLanes <= width; column += kLanes) {
    const Lanes error = load(reconstruction + column) - load(input + column);
    squares = fused(error, error, squares);
    store(gradient + column, scales * error);
  }
  if (column < width) {
    const int64_t rest = width - column;
    const Lanes error = load_first(reconstruction + column, rest) - load_first(input + column, rest);
    squares = fused(error, error, squares);
    store_first(gradient + column, scales * error, rest);
  }
  return folded_sum_in_f64(squares);
}

}  // namespace

namespace ORTHANT_ISA {

const GatherOps& gather_table() {
  static constexpr GatherOps kTable = {.weighted_sum = weighted_sum, .dots = dots, .error_row = error_row};
  return kTable;
}

}  // namespace ORTHANT_ISA
}  // namespace orthant::kernels
