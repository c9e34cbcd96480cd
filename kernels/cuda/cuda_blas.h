// The dense product on a CUDA device: the seam to cuBLASLt. One of two link-time twins defines it: the CUDA
// one, or one that throws "not configured"; tests of kernels on the CPU bring a third
// (tests/emulation/host_blas.cpp).
//
// cuBLASLt is the host's and is loaded when the first product is constructed, so that the program neither
// needs it to start nor carries its hundreds of MB. Sums never split the depth, and where addresses and shape
// allow it one algorithm is used for a depth and precision, chosen at one nominal shape: the bits of an
// element then do not depend on the rows and columns that are computed together. Not Collective.
#pragma once

#include <array>
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

// Thread-safe once constructed. Copies share what they hold.
class DenseProduct {
 public:
  DenseProduct() = default;
  // Throws Error(kDevice) where cuBLASLt cannot be loaded.
  DenseProduct(Device device, int64_t depth, Precision precision);
  // out[r * out_stride + c] = sum over k of x[r, k] * w[c, k], all in f32. Throws Error(kDevice).
  void run(Operand x, Operand w, float* out, int64_t out_stride, Stream& stream) const;

 private:
  int64_t depth_ = 0;
  Precision precision_ = Precision::kF32;
  std::shared_ptr<void> handle_;
  std::array<uint64_t, 8> algorithm_{};
  bool has_algorithm_ = false;
};

// Weights [columns, depth] and the product with them.
struct DenseWeights {
  const std::byte* rows = nullptr;
  int64_t columns = 0;
  int64_t depth = 0;
  Precision precision = Precision::kF32;
  const DenseProduct* product = nullptr;
  // Columns [first, first + count).
  [[nodiscard]] Operand part(int64_t first, int64_t count) const {
    return {rows + first * depth * operand_bytes(precision), count};
  }
};

}  // namespace orthant::kernels::cuda
