#include "kernels/ref/row_moments.h"

namespace orthant::kernels::ref {

std::vector<double> squared_norms(Matrix<const float> x) {
  std::vector<double> squares(static_cast<size_t>(x.shape[0]), 0.0);
  for (int64_t row = 0; row < x.shape[0]; ++row) {
    for (int64_t column = 0; column < x.shape[1]; ++column) {
      const double value = x.row(row)[column];
      squares[static_cast<size_t>(row)] += value * value;
    }
  }
  return squares;
}

}  // namespace orthant::kernels::ref
