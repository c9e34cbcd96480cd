#include "kernels/dense/elementwise.h"

#include <gtest/gtest.h>

#include "kernels/dense/rows_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::copy_of;
using testing::DeviceArray;
using testing::in_every_order;
using testing::on_device;
using testing::random_matrix;

std::vector<float> values_of(const Tensor<float, 2>& tensor) {
  return {tensor.data(), tensor.data() + tensor.view().elements()};
}

Tensor<double, 1> random_doubles(int64_t count, uint64_t seed) {
  Tensor<double, 1> values = testing::make_vector<double>(count);
  for (int64_t i = 0; i < count; ++i) {
    values.data()[i] = random_normal(seed, Purpose::kTest, 3, static_cast<uint64_t>(i)) / 3.0;
  }
  return values;
}

// Every call has the bits of the CPU.
class ElementwiseKernel : public testing::KernelTest {
 protected:
  Stream host_;
};

TEST_F(ElementwiseKernel, RowsWithARow) {
  for (const int64_t width : {1, 3, 64, 577, 1100}) {
    for (const int64_t offset : {0, 1}) {
      const Tensor<float, 2> x = random_matrix(5, width, 1), row = random_matrix(1, width, 2);
      const auto device_x = on_device(x, offset), device_row = on_device(row, offset);
      Tensor<float, 2> expected = copy_of(x);
      add_row(x.view(), {row.data(), {width}}, expected.view(), host_);
      EXPECT_EQ(in_every_order([&] {
                  const DeviceArray<float> out(5 * width, offset);
                  cuda::add_row(device_x.matrix(width), device_row.vector(), out.matrix(width), stream_);
                  return out.values();
                }),
                values_of(expected));
      subtract_row(x.view(), {row.data(), {width}}, expected.view(), host_);
      EXPECT_EQ(in_every_order([&] {
                  const auto in_place = on_device(x, offset);
                  cuda::subtract_row(in_place.matrix(width), device_row.vector(), in_place.matrix(width),
                                     stream_);
                  return in_place.values();
                }),
                values_of(expected));
    }
  }
}

TEST_F(ElementwiseKernel, Vectors) {
  for (const int64_t count : {0, 1, 256, 1001}) {
    const Tensor<float, 2> a = random_matrix(1, count, 3), b = random_matrix(1, count, 4);
    const auto device_a = on_device(a), device_b = on_device(b);
    Tensor<float, 2> sum = copy_of(b), difference = copy_of(b), scaled = copy_of(b);
    add(flat(a.view()), flat(sum.view()), host_);
    subtract(flat(a.view()), flat(b.view()), flat(difference.view()), host_);
    scale(0.3f, flat(scaled.view()), host_);
    const auto device_sum = on_device(b), device_difference = on_device(b), device_scaled = on_device(b);
    cuda::add(device_a.vector(), device_sum.vector(), stream_);
    cuda::subtract(device_a.vector(), device_b.vector(), device_difference.vector(), stream_);
    cuda::scale(0.3f, device_scaled.vector(), stream_);
    EXPECT_EQ(device_sum.values(), values_of(sum));
    EXPECT_EQ(device_difference.values(), values_of(difference));
    EXPECT_EQ(device_scaled.values(), values_of(scaled));
  }
}

TEST_F(ElementwiseKernel, VectorsOfTwoWidths) {
  for (const int64_t count : {1, 256, 1001}) {
    const Tensor<double, 1> x = random_doubles(count, 5);
    const auto device_x = on_device(x);
    for (const bool accumulate : {false, true}) {
      Tensor<float, 2> into = random_matrix(1, count, 6);
      const auto device_into = on_device(into);
      add_rounded(x.view(), accumulate, flat(into.view()), host_);
      cuda::add_rounded(device_x.vector(), accumulate, device_into.vector(), stream_);
      EXPECT_EQ(device_into.values(), values_of(into)) << accumulate;
    }
    Tensor<double, 1> quotient = random_doubles(count, 5);
    divide(-0.7, quotient.view(), host_);
    const auto device_quotient = on_device(x);
    cuda::divide(-0.7, device_quotient.vector(), stream_);
    EXPECT_EQ(device_quotient.values(), std::vector<double>(quotient.data(), quotient.data() + count));
    const Tensor<float, 2> narrow = random_matrix(1, count, 7);
    const auto device_narrow = on_device(narrow);
    const DeviceArray<double> wide(count);
    cuda::widen(device_narrow.vector(), wide.vector(), stream_);
    EXPECT_EQ(wide.values(), std::vector<double>(narrow.data(), narrow.data() + count));
  }
}

}  // namespace
}  // namespace orthant::kernels
