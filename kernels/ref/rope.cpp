#include "kernels/ref/rope.h"

#include <cmath>
#include <complex>

namespace orthant::kernels::ref {

std::vector<double> rotate_heads(Matrix<const float> x, Vector<const int32_t> positions,
                                 std::span<const double> frequencies) {
  const auto half = static_cast<int64_t>(frequencies.size());
  std::vector<double> out(static_cast<size_t>(x.elements()));
  for (int64_t row = 0; row < x.shape[0]; ++row) {
    for (int64_t head = 0; head < x.shape[1]; head += 2 * half) {
      for (int64_t i = 0; i < half; ++i) {
        const std::complex<double> pair(x.row(row)[head + i], x.row(row)[head + i + half]);
        const double angle = positions.data[row] * frequencies[static_cast<size_t>(i)];
        const std::complex<double> turned = pair * std::polar(1.0, angle);
        out[static_cast<size_t>(row * x.shape[1] + head + i)] = turned.real();
        out[static_cast<size_t>(row * x.shape[1] + head + i + half)] = turned.imag();
      }
    }
  }
  return out;
}

}  // namespace orthant::kernels::ref
