#include "kernels/transformer/row_sums.h"

#include "kernels/isa/vector.h"
#include "kernels/transformer/transformer_cuda.h"

namespace orthant::kernels {
namespace {

// Below this, waking the threads costs more than the sums.
constexpr int64_t kFewElements = 65536;

}  // namespace

void add_rows(Matrix<const float> from, Matrix<float> into, Stream& stream) {
  require(from.shape == into.shape, "add_rows shapes agree");
  if (into.device.kind == DeviceKind::kCuda) return cuda::add_rows(from, into, stream);
#pragma omp parallel for schedule(static) if (into.elements() > kFewElements)
  for (int64_t row = 0; row < into.shape[0]; ++row) {
    vector_ops().add(from.row(row), into.row(row), into.shape[1]);
  }
}

void add_to_rows(Vector<const float> bias, Matrix<float> into, Stream& stream) {
  require(bias.shape[0] == into.shape[1], "a bias has the width of the rows");
  if (into.device.kind == DeviceKind::kCuda) return cuda::add_to_rows(bias, into, stream);
#pragma omp parallel for schedule(static) if (into.elements() > kFewElements)
  for (int64_t row = 0; row < into.shape[0]; ++row) {
    vector_ops().add(bias.data, into.row(row), into.shape[1]);
  }
}

void squared_norms(Matrix<const float> x, Vector<float> squares, Stream& stream) {
  require(squares.shape[0] == x.shape[0], "squared_norms shapes agree");
  if (x.device.kind == DeviceKind::kCuda) return cuda::squared_norms(x, squares, stream);
#pragma omp parallel for schedule(static) if (x.elements() > kFewElements)
  for (int64_t row = 0; row < x.shape[0]; ++row) {
    squares.data[row] = vector_ops().squared_norm(x.row(row), x.shape[1]);
  }
}

}  // namespace orthant::kernels
