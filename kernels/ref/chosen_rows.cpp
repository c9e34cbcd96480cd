#include "kernels/ref/chosen_rows.h"

namespace orthant::kernels::ref {

std::vector<double> gather_rows(Matrix<const float> table, Vector<const int32_t> chosen) {
  std::vector<double> out;
  for (int64_t row = 0; row < chosen.shape[0]; ++row) {
    for (int64_t column = 0; column < table.shape[1]; ++column) {
      out.push_back(table.data[chosen.data[row] * table.shape[1] + column]);
    }
  }
  return out;
}

std::vector<double> scatter_rows(Matrix<const float> from, Vector<const int32_t> chosen,
                                 Matrix<const float> into) {
  std::vector<double> out(into.data, into.data + into.elements());
  for (int64_t row = 0; row < chosen.shape[0]; ++row) {
    for (int64_t column = 0; column < from.shape[1]; ++column) {
      out[static_cast<size_t>(chosen.data[row] * from.shape[1] + column)] =
          from.data[row * from.shape[1] + column];
    }
  }
  return out;
}

}  // namespace orthant::kernels::ref
