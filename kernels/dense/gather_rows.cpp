#include "kernels/dense/gather_rows.h"

#include <algorithm>

#include "kernels/dense/gemm_cuda.h"

namespace orthant::kernels {

void gather_rows(Matrix<const float> from, Vector<const int32_t> chosen, Matrix<float> out, Stream& stream) {
  const int64_t width = from.shape[1];
  require(out.shape[0] == chosen.shape[0] && out.shape[1] == width, "out of gather_rows is [chosen, width]");
  if (from.device.kind == DeviceKind::kCuda) {
    return cuda::pack_operand(from, chosen.data, chosen.shape[0], Precision::kF32, out.data, stream);
  }
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < chosen.shape[0]; ++i) std::copy_n(from.row(chosen.data[i]), width, out.row(i));
}

}  // namespace orthant::kernels
