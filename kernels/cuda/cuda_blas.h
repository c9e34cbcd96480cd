// The dense product of cuBLASLt on a CUDA device: the seam to it. One of two link-time twins defines it: the
// CUDA one, or one that throws "not configured"; tests of kernels on the CPU bring a third
// (tests/emulation/host_blas.cpp).
//
// cuBLASLt is the host's and is loaded when it is first asked for, so that the program neither needs it to
// start nor carries its hundreds of MB. Sums never split the depth, and where addresses and shape
// allow it one algorithm is used for a depth and precision, chosen at one nominal shape: the bits of an
// element then do not depend on the rows and columns that are computed together. Not Collective.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/dense/precision.h"
#include "runtime/device/stream.h"

namespace orthant::kernels::cuda {

// Rows [rows, depth] on the device, row-major: bf16 for kBF16, else f32.
struct Operand {
  const void* data = nullptr;
  int64_t rows = 0;
};

[[nodiscard]] constexpr int64_t operand_bytes(Precision precision) {
  return precision == Precision::kBF16 ? 2 : 4;
}

// What cuBLASLt needs to know of each shape that was multiplied lately.
class BlasPlans;

// Whether cuBLASLt can be loaded on this host.
[[nodiscard]] bool has_blas();

// Thread-safe once constructed. Copies share what they hold.
class BlasProduct {
 public:
  BlasProduct() = default;
  // Throws Error(kDevice) where cuBLASLt cannot be loaded.
  BlasProduct(Device device, int64_t depth, Precision precision);
  // out[r * out_stride + c] = sum over k of x[r, k] * w[c, k], all in f32. Throws Error(kDevice).
  void run(Operand x, Operand w, float* out, int64_t out_stride, Stream& stream) const;

 private:
  int64_t depth_ = 0;
  Precision precision_ = Precision::kF32;
  std::shared_ptr<BlasPlans> plans_;
};

}  // namespace orthant::kernels::cuda
