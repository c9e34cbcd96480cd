#include "kernels/dense/product_rows.h"

#include "kernels/dense/gemm_cuda.h"

namespace orthant::kernels {
namespace {

bool has_copies(Device device, Precision precision) {
  return device.kind == DeviceKind::kCuda && precision == Precision::kBF16;
}

}  // namespace

ProductRows::ProductRows(Memory& memory, std::string_view segment, int64_t elements, Precision precision)
    : precision_(precision) {
  if (!has_copies(memory.device(), precision)) return;
  rounded_ = Tensor<std::byte, 1>(memory, segment, {elements * cuda::operand_bytes(precision)});
}

ProductRows::Operand ProductRows::of(Matrix<const float> x, Stream& stream) {
  if (!has_copies(x.device, precision_)) return {x, nullptr};
  require(x.elements() * cuda::operand_bytes(precision_) <= rounded_.shape()[0],
          "there is room for the rounded rows");
  cuda::pack_operand(x, nullptr, x.shape[0], precision_, rounded_.data(), stream);
  return {x, rounded_.data()};
}

void matmul_nt(const ProductRows::Operand& x, const PackedWeights& weights, Matrix<float> out,
               Stream& stream) {
  if (x.rounded == nullptr) return matmul_nt(x.rows, weights, out, stream);
  require(x.rows.shape[1] == weights.depth(), "x has the depth of the weights");
  require(out.shape[0] == x.rows.shape[0] && out.shape[1] == weights.columns(),
          "out is [rows of x, columns of the weights]");
  require(weights.precision() == Precision::kBF16, "rows are rounded as their weights are");
  if (out.elements() == 0) return;
  const cuda::DenseWeights dense = weights.dense();
  dense.product->run({x.rounded, x.rows.shape[0]}, dense.part(0, dense.columns), out.data, dense.columns,
                     stream);
}

}  // namespace orthant::kernels
