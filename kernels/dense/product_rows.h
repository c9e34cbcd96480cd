// Rows on their way into dense products: where the products round their operands to another type, as on CUDA
// in bf16, a rounded copy that serves all products with these rows; else the rows themselves.
//
// On the CPU any number of threads may ask at a time; on CUDA one.
#pragma once

#include <string_view>

#include "kernels/dense/gemm.h"

namespace orthant::kernels {

class ProductRows {
 public:
  ProductRows() = default;
  // For at most `elements` elements at a time and weights of `precision`. Takes room in `memory` only where
  // there will be copies.
  ProductRows(Memory& memory, std::string_view segment, int64_t elements, Precision precision);

  struct Operand {
    Matrix<const float> rows;
    const std::byte* rounded = nullptr;  // null: the rows themselves
  };
  // Valid until the next call.
  [[nodiscard]] Operand of(Matrix<const float> x, Stream& stream);

 private:
  Precision precision_ = Precision::kF32;
  Tensor<std::byte, 1> rounded_;
};

// As matmul_nt (gemm.h) of the rows of `x`, with the same bits and without taking memory.
void matmul_nt(const ProductRows::Operand& x, const PackedWeights& weights, Matrix<float> out,
               Stream& stream);

}  // namespace orthant::kernels
