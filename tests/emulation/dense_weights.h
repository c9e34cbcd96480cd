// Weights of a dense product where the kernels run.
#pragma once

#include "kernels/dense/gemm_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::testing {

class DeviceWeights {
 public:
  // `chosen` rows of `host`; all of them where it is empty.
  DeviceWeights(const Tensor<float, 2>& host, kernels::Precision precision, Stream& stream,
                std::span<const int32_t> chosen = {},
                kernels::ProductOrder order = kernels::ProductOrder::kLibrary)
      : depth_(host.shape()[1]),
        columns_(chosen.empty() ? host.shape()[0] : static_cast<int64_t>(chosen.size())),
        precision_(precision),
        product_(kernel_device(), depth_, precision, order),
        rows_(columns_ * depth_ * kernels::cuda::operand_bytes(precision)) {
    const DeviceArray<float> from = on_device(host);
    const DeviceArray<int32_t> numbers(chosen);
    kernels::cuda::pack_operand(from.matrix(depth_), chosen.empty() ? nullptr : numbers.data(), columns_,
                                precision, rows_.data(), stream);
    stream.synchronize();
  }
  [[nodiscard]] kernels::cuda::DenseWeights view() const {
    return {rows_.data(), columns_, depth_, precision_, &product_};
  }
  [[nodiscard]] std::vector<std::byte> bytes() const { return rows_.values(); }

 private:
  int64_t depth_;
  int64_t columns_;
  kernels::Precision precision_;
  kernels::cuda::DenseProduct product_;
  DeviceArray<std::byte> rows_;
};

}  // namespace orthant::testing
