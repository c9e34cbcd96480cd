#include "kernels/backward/swiglu_backward.h"

#include <cmath>

#include "kernels/dispatch.h"

namespace orthant::kernels {

void swiglu_backward(Matrix<const float> gate, Matrix<const float> up, Matrix<const float> gradient,
                     Matrix<float> into_gate, Matrix<float> into_up, Stream&) {
  require(up.shape == gate.shape && gradient.shape == gate.shape && into_gate.shape == gate.shape &&
              into_up.shape == gate.shape,
          "swiglu_backward shapes agree");
  if (gate.device.kind == DeviceKind::kCuda) throw_no_body("swiglu_backward", gate.device);
  const int64_t count = gate.elements();
#pragma omp parallel for schedule(static) if (count > 16384)
  for (int64_t i = 0; i < count; ++i) {
    const float g = gate.data[i], u = up.data[i], slope = gradient.data[i];
    const float logistic = 1.0f / (1.0f + std::exp(-g));
    into_gate.data[i] = slope * u * logistic * (1.0f + g * (1.0f - logistic));
    into_up.data[i] = slope * g * logistic;
  }
}

}  // namespace orthant::kernels
