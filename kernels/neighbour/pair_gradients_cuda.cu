// A block has one row, its threads columns of it: each goes through the row's pairs.
#include "kernels/cuda/row.cuh"
#include "kernels/neighbour/pair_gradients_cuda.h"

namespace orthant::kernels::cuda {
namespace {

constexpr double kSmallestNorm = 1e-8;

struct Pairs {
  const int32_t* rows;
  const int64_t* offsets;
  const int32_t* others;
  const float* cosines;
};

struct Rows {
  const float* unit;
  const float* norms;
  const float* visiting;
  int64_t width;

  __device__ const float* other(int32_t number) const {
    return number >= 0 ? unit + number * width : visiting + ~number * width;
  }
};

template <bool kWhole>
__global__ void gradient_row(Rows rows, Pairs pairs, double share, float* gradient) {
  const int64_t own = pairs.rows[blockIdx.x];
  const int64_t first = pairs.offsets[blockIdx.x], last = pairs.offsets[blockIdx.x + 1];
  const double norm = rows.norms[own], scale = share / (norm < kSmallestNorm ? kSmallestNorm : norm);
  for (int64_t column = first_column(); column < rows.width; column = next_column(column)) {
    Four sum{};
    double along = 0.0;
    for (int64_t p = first; p < last; ++p) {
      const double s = pairs.cosines[p];
      sum = fused(static_cast<float>(scale * s),
                  load_columns<kWhole>(rows.other(pairs.others[p]), column, rows.width), sum);
      along += scale * s * s;
    }
    sum = fused(static_cast<float>(-along),
                load_columns<kWhole>(rows.unit + own * rows.width, column, rows.width), sum);
    store_columns<kWhole>(gradient + own * rows.width, column, rows.width, sum);
  }
}

}  // namespace

void pair_gradients(Matrix<const float> unit, Vector<const float> norms, Matrix<const float> visiting,
                    const PairList& pairs, double share, Matrix<float> gradient, Stream& stream) {
  const int64_t width = unit.shape[1];
  const bool whole = is_whole(width, unit.data, visiting.data, gradient.data);
  launch(whole ? gradient_row<true> : gradient_row<false>,
         {.blocks = pairs.rows.shape[0], .threads = row_threads(width)}, stream,
         Rows{unit.data, norms.data, visiting.data, width},
         Pairs{pairs.rows.data, pairs.offsets.data, pairs.others.data, pairs.cosines.data}, share,
         gradient.data);
}

}  // namespace orthant::kernels::cuda
