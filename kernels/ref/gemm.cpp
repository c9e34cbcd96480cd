#include "kernels/ref/gemm.h"

namespace orthant::kernels::ref {

std::vector<double> matmul_nt(Matrix<const float> x, Matrix<const float> w) {
  std::vector<double> out;
  out.reserve(static_cast<size_t>(x.shape[0] * w.shape[0]));
  for (int64_t r = 0; r < x.shape[0]; ++r) {
    for (int64_t c = 0; c < w.shape[0]; ++c) {
      double sum = 0.0;
      for (int64_t k = 0; k < x.shape[1]; ++k) {
        sum += static_cast<double>(x.row(r)[k]) * static_cast<double>(w.row(c)[k]);
      }
      out.push_back(sum);
    }
  }
  return out;
}

}  // namespace orthant::kernels::ref
