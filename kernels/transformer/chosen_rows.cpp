#include "kernels/transformer/chosen_rows.h"

#include <algorithm>

#include "kernels/transformer/transformer_cuda.h"

namespace orthant::kernels {

void gather_rows(Matrix<const float> table, Vector<const int32_t> chosen, Matrix<float> out, Stream& stream) {
  require(chosen.shape[0] == out.shape[0] && table.shape[1] == out.shape[1], "gather_rows shapes agree");
  if (table.device.kind == DeviceKind::kCuda) return cuda::gather_rows(table, chosen, out, stream);
  for (const int32_t from : chosen.span()) {
    require(from >= 0 && from < table.shape[0], "chosen rows lie inside the table");
  }
  // Below this, waking the threads costs more than the copies.
  constexpr int64_t kFewElements = 1 << 16;
#pragma omp parallel for schedule(static) if (out.elements() > kFewElements)
  for (int64_t row = 0; row < out.shape[0]; ++row) {
    std::copy_n(table.row(chosen.data[row]), out.shape[1], out.row(row));
  }
}

void scatter_rows(Matrix<const float> from, Vector<const int32_t> chosen, Matrix<float> into,
                  Stream& stream) {
  require(chosen.shape[0] == from.shape[0] && from.shape[1] == into.shape[1], "scatter_rows shapes agree");
  if (from.device.kind == DeviceKind::kCuda) return cuda::scatter_rows(from, chosen, into, stream);
  for (int64_t row = 0; row < from.shape[0]; ++row) {
    const int32_t to = chosen.data[row];
    require(to >= 0 && to < into.shape[0], "chosen rows lie inside the matrix");
    std::copy_n(from.row(row), from.shape[1], into.row(to));
  }
}

}  // namespace orthant::kernels
