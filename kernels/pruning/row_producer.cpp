#include "kernels/pruning/row_producer.h"

#include "kernels/transformer/rms_norm.h"
#include "kernels/transformer/rms_norm_row.h"
#include "kernels/transformer/swiglu.h"
#include "kernels/transformer/transformer_rows.h"

namespace orthant::kernels {

void require_fits(const RowProducer& producer, Matrix<const float> x) {
  require(!producer.is_norm() || !producer.is_gated(), "rows have one producer");
  require(!producer.is_norm() || producer.norm_weight.shape[0] == x.shape[1], "the norm's weight is [width]");
  require(!producer.is_gated() || producer.up.shape == x.shape, "gate and up have one shape");
}

void produce_rows(const RowProducer& producer, Matrix<const float> x, Matrix<float> out, Stream& stream) {
  require_fits(producer, x);
  require(producer.makes_rows(), "something makes the rows");
  if (producer.is_gated()) return swiglu(x, producer.up, out, stream);
  rms_norm(x, producer.norm_weight, producer.norm_epsilon, out, stream);
}

const float* produced_row(const RowProducer& producer, Matrix<const float> x, int64_t row, float* room) {
  const int64_t width = x.shape[1];
  if (producer.is_norm()) {
    rms_norm_row(x.row(row), producer.norm_weight.data, producer.norm_epsilon, width, room);
  } else if (producer.is_gated()) {
    transformer_rows().swiglu(x.row(row), producer.up.row(row), room, width);
  } else {
    return x.row(row);
  }
  return room;
}

}  // namespace orthant::kernels
