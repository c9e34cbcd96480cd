// A block has one row, which it keeps in shared memory.
#include "kernels/pruning/pruning_cuda.h"
#include "kernels/pruning/row_producer.cuh"
#include "kernels/pruning/row_sums.cuh"
#include "kernels/pruning/row_variance.h"
#include "kernels/pruning/select_largest.cuh"

namespace orthant::kernels::cuda {
namespace {

// What a kernel needs of PruneRows and PrunedRows; null where there is none.
struct RowsOf {
  const float* x;
  ProducerOf producer;
  int64_t width;
  PrunePattern pattern;
  const float* gains;
  const int32_t* gain_sets;
  RowCenter center;
  const float* given_center;
  float *kept, *centers, *factors, *rest;
};

__device__ float measured_center(RowCenter center, const float* row, int64_t width) {
  if (center == RowCenter::kMean)
    return static_cast<float>(block_sums(row, width).values / static_cast<double>(width));
  return value_of_key(
      block_nth_largest(width, width - (width - 1) / 2, [&](int64_t c) { return order_key(row[c]); }));
}

__device__ void subtract_center(const RowsOf& rows, float* row) {
  float center = 0.0f;
  if (rows.center != RowCenter::kGiven) {
    center = measured_center(rows.center, row, rows.width);
    if (threadIdx.x == 0) rows.centers[blockIdx.x] = center;
  }
  // All have measured before any changes what was measured.
  __syncthreads();
  for (int64_t c = threadIdx.x; c < rows.width; c += blockDim.x)
    row[c] = row[c] - (rows.center == RowCenter::kGiven ? rows.given_center[c] : center);
}

// Of the scores of its group, column c is beaten by larger ones and by equal ones before it.
template <typename KeyOf>
__device__ bool survives_in_group(PrunePattern pattern, int64_t c, KeyOf key_of) {
  const int64_t first = c / pattern.group * pattern.group;
  const int32_t own = key_of(c);
  int64_t beaten = 0;
  for (int64_t by = first; by < first + pattern.group; ++by)
    beaten += key_of(by) > own - (by < c ? 1 : 0) ? 1 : 0;
  return beaten < pattern.keep;
}

__global__ void prune_row(RowsOf rows) {
  float* const row = dynamic_shared<float>();
  const int64_t begin = blockIdx.x * rows.width;
  const ProducedRow produced = made_row(rows.producer, rows.x, blockIdx.x, rows.width);
  for (int64_t c = threadIdx.x; c < rows.width; c += blockDim.x) row[c] = produced.at(c);
  __syncthreads();
  const BlockSums before = rows.factors == nullptr ? BlockSums{} : block_sums(row, rows.width);
  if (rows.center != RowCenter::kNone) subtract_center(rows, row);
  __syncthreads();
  const float* const gains =
      rows.gains == nullptr
          ? nullptr
          : rows.gains + (rows.gain_sets == nullptr ? 0 : rows.gain_sets[blockIdx.x]) * rows.width;
  const auto key_of = [&](int64_t c) { return score_bits(row[c], gains == nullptr ? 1.0f : gains[c]); };
  double values = 0.0, squares = 0.0;
  const auto mark = [&](int64_t c, bool survives) {
    const float kept = survives ? row[c] : 0.0f;
    rows.kept[begin + c] = kept;
    if (rows.rest != nullptr) rows.rest[begin + c] = survives ? 0.0f : row[c];
    values += static_cast<double>(kept);
    squares += static_cast<double>(kept) * kept;
  };
  if (rows.pattern.group > 0) {
    for (int64_t c = threadIdx.x; c < rows.width; c += blockDim.x)
      mark(c, survives_in_group(rows.pattern, c, key_of));
  } else {
    block_mark_largest(rows.width, rows.pattern.keep, key_of, mark);
  }
  if (rows.factors == nullptr) return;
  const double after = block_sum(values);
  const double squares_after = block_sum(squares);
  if (threadIdx.x == 0)
    rows.factors[blockIdx.x] =
        variance_factor(before.values, before.squares, after, squares_after, rows.width);
}

template <typename T, int Rank>
T* data_of(View<T, Rank> view) {
  return view.shape[0] == 0 ? nullptr : view.data;
}

}  // namespace

void prune_rows(const PruneRows& rows, const PrunedRows& into, Stream& stream) {
  const int64_t width = rows.x.shape[1];
  if (width == 0) return;
  launch(prune_row,
         {.blocks = rows.x.shape[0],
          .threads = row_threads(width),
          .shared_bytes = width * static_cast<int64_t>(sizeof(float))},
         stream,
         RowsOf{rows.x.data, ProducerOf(rows.producer), width, rows.pattern, data_of(rows.gains),
                data_of(rows.gain_sets), rows.center, data_of(rows.given_center), into.kept.data,
                data_of(into.centers), data_of(into.factors), data_of(into.rest)});
}

}  // namespace orthant::kernels::cuda
