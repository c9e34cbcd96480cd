// out[r, c] = sum over k of x[r, k] * w[c, k]: the one dense product of the project, f32.
//
// Each element is one chain of fused multiply-adds over k in ascending order, so its bits do not depend on
// the number of rows or columns computed together, on threads or on the instruction set: this is what makes
// sharded encoding equal to unsharded. Weights are packed once and used many times. With Precision::kBF16 the
// weights are rounded when they are packed and x as its rows are packed (kernels/dense/round_bf16.h),
// everything else stays the same, so those bits too are equal everywhere; no CPU kernel uses bf16
// instructions, so there it is no faster. All operands are on one device; on CUDA the bits are the
// same where our own product computes it (kernels/dense/dense_product.h), else those of
// kernels/cuda/cuda_blas.h. Thread-safe for distinct outputs.
#pragma once

#include <string_view>

#include "kernels/dense/dense_product.h"
#include "kernels/dense/precision.h"
#include "kernels/isa/isa.h"
#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// Weights [columns, depth] (row-major, as latents or output features are stored) in the layout of the
// product.
class PackedWeights {
 public:
  PackedWeights() = default;
  // Throws Error(kConfig) for a precision that the memory's device has not, or not in that order.
  PackedWeights(Memory& memory, std::string_view segment, int64_t columns, int64_t depth,
                Precision precision = Precision::kF32, ProductOrder order = ProductOrder::kLibrary);
  [[nodiscard]] int64_t columns() const { return columns_; }
  [[nodiscard]] int64_t depth() const { return depth_; }
  // Of every product with these weights.
  [[nodiscard]] Precision precision() const { return precision_; }
  // `weights` [columns, depth], columns <= those of the construction; columns() becomes theirs.
  void pack(Matrix<const float> weights, Stream& stream);
  // Rows `chosen` (ascending or not) of `weights`.
  void pack_chosen(Matrix<const float> weights, Vector<const int32_t> chosen, Stream& stream);
  // For the bodies of the product on the CPU: panels of kPanel columns, each [depth, kPanel], the last one
  // padded with zeros.
  static constexpr int64_t kPanel = 16;
  [[nodiscard]] int64_t panels() const { return (columns_ + kPanel - 1) / kPanel; }
  [[nodiscard]] const float* panel(int64_t index) const { return panels_.data() + index * depth_ * kPanel; }
  // For its body on CUDA. Borrowed.
  [[nodiscard]] cuda::DenseWeights dense() const {
    return {rows_.data(), columns_, depth_, precision_, &product_};
  }

 private:
  [[nodiscard]] bool is_on_cuda() const { return device_.kind == DeviceKind::kCuda; }
  void set_columns(int64_t columns, Matrix<const float> weights);
  template <typename RowOf>
  void pack_panels(const RowOf& row_of);

  int64_t columns_ = 0;
  int64_t depth_ = 0;
  int64_t capacity_ = 0;
  Precision precision_ = Precision::kF32;
  Device device_;
  Tensor<float, 1> panels_;     // on the CPU
  Tensor<std::byte, 1> rows_;   // on CUDA: [columns, depth], an operand
  cuda::DenseProduct product_;  // on CUDA
};

// `x` [rows, depth], `out` [rows, columns].
void matmul_nt(Matrix<const float> x, const PackedWeights& weights, Matrix<float> out, Stream& stream);
// In a given instruction set, which the host must support.
void matmul_nt(Matrix<const float> x, const PackedWeights& weights, Matrix<float> out, Isa isa,
               Stream& stream);

}  // namespace orthant::kernels
