#include "kernels/ref/skipping_gemv.h"

namespace orthant::kernels::ref {

std::vector<double> skipping_gemv(std::span<const int32_t> inputs, std::span<const float> values,
                                  Matrix<const float> w) {
  std::vector<double> out;
  for (int64_t o = 0; o < w.shape[0]; ++o) {
    double sum = 0.0;
    for (size_t i = 0; i < inputs.size(); ++i) {
      sum += static_cast<double>(values[i]) * static_cast<double>(w.row(o)[inputs[i]]);
    }
    out.push_back(sum);
  }
  return out;
}

}  // namespace orthant::kernels::ref
