#include "kernels/transformer/swiglu.h"

#include "kernels/transformer/transformer_cuda.h"
#include "kernels/transformer/transformer_rows.h"

namespace orthant::kernels {

void swiglu(Matrix<const float> gate, Matrix<const float> up, Matrix<float> out, Stream& stream) {
  require(gate.shape == up.shape && gate.shape == out.shape, "swiglu shapes agree");
  if (gate.device.kind == DeviceKind::kCuda) return cuda::swiglu(gate, up, out, stream);
  const TransformerRows& rows = transformer_rows();
#pragma omp parallel for schedule(static) if (gate.elements() > 16384)
  for (int64_t row = 0; row < gate.shape[0]; ++row) {
    rows.swiglu(gate.row(row), up.row(row), out.row(row), gate.shape[1]);
  }
}

}  // namespace orthant::kernels
