#include "sae/training/batch_sums.h"

#include "kernels/codes/decode.h"
#include "kernels/dense/row_moments.h"

namespace orthant::sae {

BatchSums::BatchSums(Memory& memory, int64_t d_model, ReplicaExchange& exchange)
    : exchange_(&exchange),
      row_values_(memory, "batch", {exchange.batch_rows()}),
      column_sums_(memory, "batch", {d_model}),
      values_on_host_(memory.working_device(), row_values_.view().bytes()) {}

Vector<double> BatchSums::own_values() {
  const Share own = exchange_->own_rows();
  return row_values_.view().rows(own.first, own.count);
}

double BatchSums::total(Stream& stream) {
  exchange_->gather_values(row_values_.view(), stream);
  exchange_->replicas().wait(stream);
  double total = 0.0;
  for (const double value : values_on_host_.of(row_values_.view(), stream).span()) total += value;
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
  kernels::squared_distances(own, sums, rows, own_values(), stream);
  return total(stream);
}

}  // namespace orthant::sae
