#include "kernels/dense/dense_product.h"

#include "kernels/dense/depth_product.h"
#include "runtime/core/error.h"

namespace orthant::kernels {

void require_order(ProductOrder order, Precision precision) {
  if (order != ProductOrder::kDepth || precision != Precision::kTF32) return;
  throw Error(ExitCode::kConfig, {.problem = "no product in tf32 whose sums have a fixed order",
                                  .why = "only the device's own library multiplies in tf32",
                                  .suggestion = "Use --precision=f32, or leave --deterministic out."});
}

namespace cuda {

DenseProduct::DenseProduct(Device device, int64_t depth, Precision precision, ProductOrder order)
    : depth_(depth),
      precision_(precision),
      by_depth_(multiplies_by_depth(order, precision, order == ProductOrder::kDepth || has_blas())) {
  if (!by_depth_) blas_ = BlasProduct(device, depth, precision);
}

void DenseProduct::run(Operand x, Operand w, float* out, int64_t out_stride, Stream& stream) const {
  if (by_depth_) return depth_product(x, w, depth_, precision_, out, out_stride, stream);
  blas_.run(x, w, out, out_stride, stream);
}

}  // namespace cuda
}  // namespace orthant::kernels
