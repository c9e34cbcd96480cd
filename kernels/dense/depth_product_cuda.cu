// A block has a tile of the product, a thread four rows and four columns of it. Pieces of the depth lie in
// shared memory, transposed, so that the rows and the columns of a thread are each one load.
#include "kernels/cuda/row.cuh"
#include "kernels/dense/depth_product.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kTile = 64;   // rows, and columns
constexpr int kPiece = 16;  // of the depth
constexpr int kOwn = 4;     // rows, and columns, of a thread
constexpr int kAcross = kTile / kOwn;
constexpr int kThreads = kAcross * kAcross;
static_assert(kThreads * 4 == kTile * kPiece, "a thread loads four elements of each operand");

struct alignas(16) Tiles {
  static constexpr int kStride = kTile + 4;  // neighbouring depths begin in other banks
  float x[kPiece][kStride];
  float w[kPiece][kStride];
};

template <typename T>
struct Rows {
  const T* data;
  int64_t count;
  int64_t depth;
};

// Rows [first, first + kTile) at depths [k, k + kPiece); 0 for rows and depths that there are not.
template <bool kWhole, typename T>
__device__ void stage(const Rows<T>& rows, int64_t first, int64_t k, float (*into)[Tiles::kStride]) {
  const int row = static_cast<int>(threadIdx.x) / (kPiece / 4), part = threadIdx.x % (kPiece / 4) * 4;
  Four four{};
  if (first + row < rows.count && k + part < rows.depth) {
    four = load_columns<kWhole>(rows.data + (first + row) * rows.depth, k + part, rows.depth);
  }
  for (int i = 0; i < 4; ++i) into[part + i][row] = four.of[i];
}

template <bool kWhole, typename T>
__global__ void __launch_bounds__(kThreads)
    multiply_tile(Rows<T> x, Rows<T> w, float* out, int64_t out_stride, bool is_whole_out) {
  Tiles& tiles = block_shared<Tiles>();
  const int64_t across = (w.count + kTile - 1) / kTile;
  const int64_t first_row = blockIdx.x / across * kTile, first_column = blockIdx.x % across * kTile;
  const int row = static_cast<int>(threadIdx.x) / kAcross * kOwn, column = threadIdx.x % kAcross * kOwn;
  Four sums[kOwn] = {};
  for (int64_t k = 0; k < x.depth; k += kPiece) {
    stage<kWhole>(x, first_row, k, tiles.x);
    stage<kWhole>(w, first_column, k, tiles.w);
    __syncthreads();
    // No further than the depth: adding nothing could turn a zero's sign.
    const int64_t depth = x.depth - k < kPiece ? x.depth - k : kPiece;
    for (int s = 0; s < depth; ++s) {
      const Four own_rows = load_four(tiles.x[s] + row), own_columns = load_four(tiles.w[s] + column);
      for (int i = 0; i < kOwn; ++i) sums[i] = fused(own_rows.of[i], own_columns, sums[i]);
    }
    __syncthreads();
  }
  for (int i = 0; i < kOwn && first_row + row + i < x.count; ++i) {
    float* const into = out + (first_row + row + i) * out_stride + first_column;
    const int64_t width = w.count - first_column;
    if (is_whole_out && column + kOwn <= width) {
      store_four(into + column, sums[i]);
    } else {
      store_columns<false>(into, column, width, sums[i]);
    }
  }
}

template <typename T>
void multiply(Operand x, Operand w, int64_t depth, float* out, int64_t out_stride, Stream& stream) {
  const Rows<T> of_x{static_cast<const T*>(x.data), x.rows, depth};
  const Rows<T> of_w{static_cast<const T*>(w.data), w.rows, depth};
  const int64_t tiles = (x.rows + kTile - 1) / kTile * ((w.rows + kTile - 1) / kTile);
  launch(is_whole(depth, x.data, w.data) ? multiply_tile<true, T> : multiply_tile<false, T>,
         {.blocks = tiles, .threads = kThreads}, stream, of_x, of_w, out, out_stride,
         is_whole(out_stride, out));
}

}  // namespace

void depth_product(Operand x, Operand w, int64_t depth, Precision precision, float* out, int64_t out_stride,
                   Stream& stream) {
  if (precision == Precision::kBF16) return multiply<uint16_t>(x, w, depth, out, out_stride, stream);
  multiply<float>(x, w, depth, out, out_stride, stream);
}

}  // namespace orthant::kernels::cuda
