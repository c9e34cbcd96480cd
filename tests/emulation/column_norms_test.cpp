#include "kernels/pruning/column_norms.h"

#include <gtest/gtest.h>

#include "kernels/pruning/pruning_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::on_device;
using testing::random_matrix;
using testing::zero_matrix;

class ColumnNormsKernels : public testing::KernelTest {
 protected:
  static constexpr int64_t kRows = 9, kSequences = 3;
  ColumnNormsKernels() : offsets_(testing::make_vector<int64_t>(kSequences + 1)) {
    const int64_t ends[] = {0, 4, 4, kRows};
    std::copy(std::begin(ends), std::end(ends), offsets_.data());
  }
  Tensor<int64_t, 1> offsets_;
  Stream host_;
};

TEST_F(ColumnNormsKernels, HaveTheBitsOfTheCpu) {
  for (const int64_t width : {1, 33, 300}) {
    const Tensor<float, 2> x = random_matrix(kRows, width, 1);
    Tensor<float, 2> peaks = random_matrix(1, width, 2), norms = zero_matrix(kSequences, width),
                     gains = zero_matrix(kSequences, width);
    for (float& peak : peaks.view().span()) peak = std::abs(peak) + 1e-8f;
    column_norms(x.view(), offsets_.view(), norms.view(), host_);
    column_peak_gains(x.view(), offsets_.view(), {peaks.data(), {width}}, gains.view(), host_);
    const auto device_x = on_device(x), device_peaks = on_device(peaks);
    const auto device_offsets = on_device(offsets_);
    const auto found = testing::in_every_order([&] {
      const DeviceArray<float> device_norms(kSequences * width), device_gains(kSequences * width);
      cuda::column_norms(device_x.matrix(width), device_offsets.vector(), device_norms.matrix(width),
                         stream_);
      cuda::column_peak_gains(device_x.matrix(width), device_offsets.vector(), device_peaks.vector(),
                              device_gains.matrix(width), stream_);
      return std::tuple(device_norms.values(), device_gains.values());
    });
    EXPECT_EQ(std::get<0>(found), std::vector<float>(norms.data(), norms.data() + kSequences * width));
    EXPECT_EQ(std::get<1>(found), std::vector<float>(gains.data(), gains.data() + kSequences * width));
  }
}

}  // namespace
}  // namespace orthant::kernels
