#include "kernels/backward/rms_norm_backward.h"

#include <cmath>

#include "kernels/dispatch.h"

namespace orthant::kernels {

void rms_norm_backward(Matrix<const float> x, Vector<const float> weight, float epsilon,
                       Matrix<const float> gradient, Matrix<float> into, Stream&) {
  const int64_t rows = x.shape[0], width = x.shape[1];
  require(gradient.shape == x.shape && into.shape == x.shape && weight.shape[0] == width,
          "rms_norm_backward shapes agree");
  if (x.device.kind == DeviceKind::kCuda) throw_no_body("rms_norm_backward", x.device);
#pragma omp parallel for schedule(static) if (rows * width > 65536)
  for (int64_t row = 0; row < rows; ++row) {
    const float *from = x.row(row), *slope = gradient.row(row);
    double squares = 0.0, product = 0.0;
    for (int64_t c = 0; c < width; ++c) {
      squares += static_cast<double>(from[c]) * from[c];
      product += static_cast<double>(slope[c]) * weight.data[c] * from[c];
    }
    const double count = static_cast<double>(width);
    const double scale = 1.0 / std::sqrt(squares / count + static_cast<double>(epsilon));
    const auto along = static_cast<float>(scale * scale * scale * product / count);
    const auto across = static_cast<float>(scale);
    float* to = into.row(row);
    for (int64_t c = 0; c < width; ++c) to[c] += across * slope[c] * weight.data[c] - along * from[c];
  }
}

}  // namespace orthant::kernels
