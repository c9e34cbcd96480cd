// kernels/cuda/cuda_blas.h for kernels that run on the CPU: plain loops, with the bits of the CPU's product
// in f32 and bf16.
#include <atomic>
#include <cmath>
#include <cstdint>

#include "kernels/cuda/cuda_blas.h"
#include "kernels/scalar.h"
#include "tests/device/emulated_device.h"
#include "tests/emulation/library_products.h"

namespace orthant::kernels::cuda {
namespace {

std::atomic<int64_t> products{0};

// The nearest number with ten bits after the leading one, ties away from zero.
float tf32_of(float value) {
  return std::isfinite(value) ? float_of((bits_of(value) + 0x1000u) & 0xffffe000u) : value;
}

float element(Operand operand, Precision precision, int64_t index) {
  if (precision == Precision::kBF16)
    return float_of(static_cast<uint32_t>(static_cast<const uint16_t*>(operand.data)[index]) << 16);
  const float value = static_cast<const float*>(operand.data)[index];
  return precision == Precision::kTF32 ? tf32_of(value) : value;
}

}  // namespace

bool has_blas() {
  return true;
}

BlasProduct::BlasProduct(Device, int64_t depth, Precision precision) : depth_(depth), precision_(precision) {}

void BlasProduct::run(Operand x, Operand w, float* out, int64_t out_stride, Stream&) const {
  const emulation::DeviceWork work;
  ++products;
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t c = 0; c < w.rows; ++c) {
      float sum = 0.0f;
      for (int64_t k = 0; k < depth_; ++k) {
        sum = std::fma(element(x, precision_, r * depth_ + k), element(w, precision_, c * depth_ + k), sum);
      }
      out[r * out_stride + c] = sum;
    }
  }
}

}  // namespace orthant::kernels::cuda

namespace orthant::testing {

int64_t library_products() {
  return kernels::cuda::products;
}

}  // namespace orthant::testing
