// Rows are multiplied with candidates tile by tile. A block of threads has one row of the tile and finds the
// best candidate of it, or 32 candidates and finds the best row of each; both better what earlier tiles left.
#include "kernels/cuda/row.cuh"
#include "kernels/neighbour/neighbour_cuda.h"
#include "kernels/scalar.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kUnitLanes = 16;  // of a row: the order of its sum is that of the CPU
constexpr int kUnitRows = kThreads / kUnitLanes;
constexpr double kSmallestNorm = 1e-8;

struct Tile {
  const float* products;  // [rows, stride]
  int64_t stride;
  int64_t rows;
  int64_t columns;
  int64_t first_row;
  int64_t first_column;
};

struct Found {
  float value;
  int64_t index;
};

__device__ Found nothing() {
  return {-float_of(0x7f800000u), -1};
}

// Never true of a NaN.
__device__ bool beats(Found a, Found b) {
  return a.value > b.value || (a.value == b.value && a.index < b.index);
}

// The best over the lanes of a warp, on each of them.
__device__ Found warp_best(Found own) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    const Found other{warp_shuffle_xor(own.value, mask), warp_shuffle_xor(own.index, mask)};
    if (beats(other, own)) own = other;
  }
  return own;
}

struct FoundByWarp {
  float values[kWarps];
  int64_t indices[kWarps];
};

// The best over the threads of a block, on its first warp. Collective for the block.
__device__ Found block_best(Found own) {
  FoundByWarp& found = block_shared<FoundByWarp>();
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  own = warp_best(own);
  if (lane == 0) {
    found.values[warp] = own.value;
    found.indices[warp] = own.index;
  }
  __syncthreads();
  return warp_best(lane < kWarps ? Found{found.values[lane], found.indices[lane]} : nothing());
}

__device__ void better(Found found, float* value, int64_t* index) {
  if (!beats(found, {*value, *index})) return;
  *value = found.value;
  *index = found.index;
}

// Which candidates of a row count, by numbers: all but one.
struct Others {
  const int64_t* excluded;  // [rows]
  __device__ bool has(int64_t row, int64_t candidate) const { return candidate != excluded[row]; }
};
// Those after the row.
struct After {
  __device__ bool has(int64_t row, int64_t candidate) const { return candidate > row; }
};

template <typename Candidates>
__global__ void __launch_bounds__(kThreads)
    best_of_row(Tile tile, Candidates candidates, int64_t offset, float* values, int64_t* indices) {
  const int64_t row = tile.first_row + blockIdx.x;
  const float* const products = tile.products + blockIdx.x * tile.stride;
  Found best = nothing();
  for (int64_t c = threadIdx.x; c < tile.columns; c += kThreads) {
    const int64_t candidate = offset + tile.first_column + c;
    if (products[c] > best.value && candidates.has(row, candidate)) best = {products[c], candidate};
  }
  best = block_best(best);
  if (threadIdx.x == 0) better(best, values + row, indices + row);
}

struct FoundByColumn {
  float values[kWarps][kWarp];
  int64_t indices[kWarps][kWarp];
};

// Of each candidate, the best row before it. A warp has a part of the rows, each lane a candidate.
__global__ void __launch_bounds__(kThreads) best_before_column(Tile tile, float* values, int64_t* indices) {
  FoundByColumn& found = block_shared<FoundByColumn>();
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t c = static_cast<int64_t>(blockIdx.x) * kWarp + lane, candidate = tile.first_column + c;
  const int64_t part = (tile.rows + kWarps - 1) / kWarps, first = warp * part;
  int64_t end = candidate - tile.first_row;
  if (end > tile.rows) end = tile.rows;
  if (end > first + part) end = first + part;
  Found best = nothing();
  for (int64_t r = first; c < tile.columns && r < end; ++r) {
    const float product = tile.products[r * tile.stride + c];
    if (product > best.value) best = {product, tile.first_row + r};
  }
  found.values[warp][lane] = best.value;
  found.indices[warp][lane] = best.index;
  __syncthreads();
  if (warp != 0 || c >= tile.columns) return;
  for (int w = 1; w < kWarps; ++w) {
    const Found other{found.values[w][lane], found.indices[w][lane]};
    if (beats(other, best)) best = other;
  }
  better(best, values + candidate, indices + candidate);
}

__global__ void __launch_bounds__(kThreads) clear_best(int64_t rows, float* values, int64_t* indices) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row >= rows) return;
  values[row] = nothing().value;
  indices[row] = nothing().index;
}

// kUnitLanes threads have a row.
__global__ void __launch_bounds__(kThreads)
    unit_row(const float* rows, int64_t count, int64_t width, float* unit, float* norms) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kUnitLanes;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kUnitRows + thread / kUnitLanes;
  const int64_t end = row < count ? width : 0;
  const float* const from = rows + row * width;
  double own = 0.0;
  for (int64_t i = lane; i < end; i += kUnitLanes) {
    const double x = from[i];
    own += x * x;
  }
  double squares = 0.0;
  for (int other = 0; other < kUnitLanes; ++other) {
    squares += warp_shuffle(own, thread % kWarp - lane + other);
  }
  const double norm = sqrt(squares), inverse = 1.0 / (norm < kSmallestNorm ? kSmallestNorm : norm);
  for (int64_t i = lane; i < end; i += kUnitLanes) {
    unit[row * width + i] = static_cast<float>(from[i] * inverse);
  }
  if (lane == 0 && row < count) norms[row] = static_cast<float>(norm);
}

// Rows [first, first + count) of `rows` times the candidates from `first_column` on: visit(tile), tile after
// tile.
template <typename Visit>
void each_tile(Matrix<const float> rows, int64_t first, int64_t count, const DenseWeights& candidates,
               int64_t first_column, TileView room, Stream& stream, const Visit& visit) {
  for (int64_t column = first_column; column < candidates.columns; column += room.shape.columns) {
    const int64_t left = candidates.columns - column;
    const int64_t columns = left < room.shape.columns ? left : room.shape.columns;
    candidates.product->run({rows.row(first), count}, candidates.part(column, columns), room.products,
                            room.shape.columns, stream);
    visit(Tile{room.products, room.shape.columns, count, columns, first, column});
  }
}

}  // namespace

void nearest_neighbour(Matrix<const float> queries, const DenseWeights& candidates, int64_t candidate_offset,
                       Vector<const int64_t> excluded, TileView room, Vector<float> best_value,
                       Vector<int64_t> best_index, Stream& stream) {
  const int64_t queried = queries.shape[0];
  for (int64_t row = 0; row < queried; row += room.shape.rows) {
    const int64_t count = queried - row < room.shape.rows ? queried - row : room.shape.rows;
    each_tile(queries, row, count, candidates, 0, room, stream, [&](const Tile& tile) {
      launch(best_of_row<Others>, {.blocks = count, .threads = kThreads}, stream, tile, Others{excluded.data},
             candidate_offset, best_value.data, best_index.data);
    });
  }
}

void nearest_of_pairs(Matrix<const float> rows, const DenseWeights& same, int64_t band, TileView room,
                      Vector<float> best_value, Vector<int64_t> best_index, Stream& stream) {
  const int64_t all = rows.shape[0];
  launch(clear_best, {.blocks = (all + kThreads - 1) / kThreads, .threads = kThreads}, stream, all,
         best_value.data, best_index.data);
  for (int64_t row = 0; row < band; row += room.shape.rows) {
    const int64_t count = band - row < room.shape.rows ? band - row : room.shape.rows;
    each_tile(rows, row, count, same, row, room, stream, [&](const Tile& tile) {
      launch(best_of_row<After>, {.blocks = count, .threads = kThreads}, stream, tile, After{}, 0,
             best_value.data, best_index.data);
      launch(best_before_column, {.blocks = (tile.columns + kWarp - 1) / kWarp, .threads = kThreads}, stream,
             tile, best_value.data, best_index.data);
    });
  }
}

void unit_rows(Matrix<const float> rows, Matrix<float> unit, Vector<float> norms, Stream& stream) {
  const int64_t count = rows.shape[0];
  launch(unit_row, {.blocks = (count + kUnitRows - 1) / kUnitRows, .threads = kThreads}, stream, rows.data,
         count, rows.shape[1], unit.data, norms.data);
}

}  // namespace orthant::kernels::cuda
