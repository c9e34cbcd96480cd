#include "kernels/ref/rms_norm.h"

#include <cmath>

namespace orthant::kernels::ref {

std::vector<double> rms_norm(Matrix<const float> x, Vector<const float> weight, double epsilon) {
  std::vector<double> out;
  for (int64_t row = 0; row < x.shape[0]; ++row) {
    double sum = 0.0;
    for (int64_t c = 0; c < x.shape[1]; ++c) sum += static_cast<double>(x.row(row)[c]) * x.row(row)[c];
    const double scale = 1.0 / std::sqrt(sum / static_cast<double>(x.shape[1]) + epsilon);
    for (int64_t c = 0; c < x.shape[1]; ++c) out.push_back(x.row(row)[c] * scale * weight.data[c]);
  }
  return out;
}

}  // namespace orthant::kernels::ref
