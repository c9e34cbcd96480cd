#include "kernels/ref/embedding.h"

namespace orthant::kernels::ref {

std::vector<double> embed(Matrix<const float> table, Vector<const int32_t> token_ids) {
  std::vector<double> out;
  for (int64_t row = 0; row < token_ids.shape[0]; ++row) {
    for (int64_t column = 0; column < table.shape[1]; ++column) {
      out.push_back(table.data[token_ids.data[row] * table.shape[1] + column]);
    }
  }
  return out;
}

}  // namespace orthant::kernels::ref
