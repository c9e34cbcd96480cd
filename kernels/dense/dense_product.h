// The dense product on a CUDA device, in one of two orders of sums. Not Collective.
#pragma once

#include "kernels/cuda/cuda_blas.h"

namespace orthant::kernels {

// The order in which the terms of an element are added, on a device. On the CPU it is always that of the
// depth.
enum class ProductOrder {
  kLibrary,  // that of cuBLASLt
  kDepth,    // one chain of fused multiply-adds in ascending depth: the bits of the CPU
};

// Throws Error(kConfig) for tf32 in the order of the depth, which no device has.
void require_order(ProductOrder order, Precision precision);

// Whether our own kernel multiplies: where the order asks for it, and f32 where there is no cuBLASLt.
[[nodiscard]] constexpr bool multiplies_by_depth(ProductOrder order, Precision precision, bool has_library) {
  return order == ProductOrder::kDepth || (precision == Precision::kF32 && !has_library);
}

namespace cuda {

// Thread-safe once constructed. Copies share what they hold.
class DenseProduct {
 public:
  DenseProduct() = default;
  // Throws Error(kDevice) where cuBLASLt is needed and cannot be loaded.
  DenseProduct(Device device, int64_t depth, Precision precision, ProductOrder order);
  // out[r * out_stride + c] = sum over k of x[r, k] * w[c, k], all in f32. Throws Error(kDevice).
  void run(Operand x, Operand w, float* out, int64_t out_stride, Stream& stream) const;

 private:
  int64_t depth_ = 0;
  Precision precision_ = Precision::kF32;
  bool by_depth_ = false;
  BlasProduct blas_;  // of nothing where by_depth_
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

}  // namespace cuda
}  // namespace orthant::kernels
