#include "kernels/pruning/mend_products.h"

#include <gtest/gtest.h>

#include "kernels/pruning/pruning_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::on_device;
using testing::random_matrix;

using MendProductsKernel = testing::KernelTest;

TEST_F(MendProductsKernel, HasTheBitsOfTheCpu) {
  for (const int64_t outputs : {1, 19, 300}) {
    for (const int64_t rows : {0, 1, 5}) {
      const Tensor<float, 2> y = random_matrix(rows, outputs, 1), factors = random_matrix(1, rows, 2),
                             centers = random_matrix(1, rows, 3), sums = random_matrix(1, outputs, 4),
                             scale = random_matrix(1, outputs, 5), offset = random_matrix(1, outputs, 6);
      const auto mending_of = [&](Device device, auto&& at) {
        return Mending{.row_factors = {at(factors), {rows}, device},
                       .centers = {at(centers), {rows}, device},
                       .weight_sums = {at(sums), {outputs}, device},
                       .column_factors = {at(scale), {outputs}, device},
                       .column_offsets = {at(offset), {outputs}, device}};
      };
      Tensor<float, 2> expected = testing::copy_of(y);
      Stream host;
      mend_products(mending_of(kCpu, [](const Tensor<float, 2>& tensor) { return tensor.data(); }),
                    expected.view(), host);
      const auto device_factors = on_device(factors), device_centers = on_device(centers),
                 device_sums = on_device(sums), device_scale = on_device(scale),
                 device_offset = on_device(offset);
      const auto found = testing::in_every_order([&] {
        const auto device_y = on_device(y);
        const Mending mending{.row_factors = device_factors.vector(),
                              .centers = device_centers.vector(),
                              .weight_sums = device_sums.vector(),
                              .column_factors = device_scale.vector(),
                              .column_offsets = device_offset.vector()};
        cuda::mend_products(mending, {device_y.data(), {rows, outputs}, testing::kernel_device()}, stream_);
        return device_y.values();
      });
      EXPECT_EQ(found, std::vector<float>(expected.data(), expected.data() + rows * outputs));
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
