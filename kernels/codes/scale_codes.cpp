#include "kernels/codes/scale_codes.h"

#include "kernels/codes/statistics_cuda.h"

namespace orthant::kernels {

void multiply_codes(CodesView codes, int64_t first_latent, Vector<const float> factors, Stream& stream) {
  if (codes.values.device.kind == DeviceKind::kCuda) {
    return cuda::multiply_codes(codes, first_latent, factors, stream);
  }
#pragma omp parallel for schedule(static)
  for (int64_t e = codes.row_offsets.data[0]; e < codes.entries(); ++e) {
    codes.values.data[e] *= factors.data[codes.latents.data[e] - first_latent];
  }
}

void divide_codes(CodesView codes, int64_t first_latent, Vector<const float> factors, Stream& stream) {
  if (codes.values.device.kind == DeviceKind::kCuda) {
    return cuda::divide_codes(codes, first_latent, factors, stream);
  }
#pragma omp parallel for schedule(static)
  for (int64_t e = codes.row_offsets.data[0]; e < codes.entries(); ++e) {
    codes.values.data[e] /= factors.data[codes.latents.data[e] - first_latent];
  }
}

}  // namespace orthant::kernels
