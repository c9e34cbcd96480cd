#include "sae/training/batch_sums.h"

#include "kernels/codes/decode.h"

namespace orthant::sae {

BatchSums::BatchSums(Memory& memory, int64_t d_model, ReplicaExchange& exchange)
    : exchange_(&exchange),
      row_values_(memory, "batch", {exchange.batch_rows()}),
      column_sums_(memory, "batch", {d_model}) {}

Vector<double> BatchSums::own_values() {
  const Share own = exchange_->own_rows();
  return row_values_.view().rows(own.first, own.count);
}

double BatchSums::total(Stream& stream) {
  exchange_->gather_values(row_values_.view(), stream);
  double total = 0.0;
  for (const double value : row_values_.view().span()) total += value;
  return total;
}

Vector<double> BatchSums::columns(Matrix<const float> matrix, Stream& stream) {
  kernels::column_sums(matrix, column_sums_.view(), stream);
  return column_sums_.view();
}

double BatchSums::variance(Matrix<const float> own, Stream& stream) {
  const Vector<double> sums = columns(own, stream);
  all_reduce(exchange_->replicas(), sums, ReduceOp::kSum, stream);
  return variance(own, sums, stream);
}

double BatchSums::variance(Matrix<const float> own, Vector<const double> sums, Stream& stream) {
  const double rows = static_cast<double>(exchange_->batch_rows());
  const Vector<double> squares_of = own_values();
#pragma omp parallel for
  for (int64_t r = 0; r < own.shape[0]; ++r) {
    double squares = 0.0;
    for (int64_t c = 0; c < own.shape[1]; ++c) {
      const double centred = own.row(r)[c] - sums.data[c] / rows;
      squares += centred * centred;
    }
    squares_of.data[r] = squares;
  }
  return total(stream);
}

}  // namespace orthant::sae
