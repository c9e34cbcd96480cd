#include "kernels/sparse/kept_inputs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "kernels/sparse/sparse_cuda.h"
#include "tests/emulation/kernel_test.h"
#include "tests/support/kept_list.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::KeptList;
using testing::on_device;

class KeptInputsKernel : public testing::KernelTest {
 protected:
  void expect_those_of_the_cpu(const Tensor<float, 2>& x, int64_t keep, int64_t group) {
    const int64_t width = x.shape()[1];
    const auto device_x = on_device(x);
    const KeptList expected({x.data(), {width}}, keep, group);
    const auto work = [&] {
      const int64_t count = kept_count(width, keep, group);
      const DeviceArray<int32_t> inputs(count);
      const DeviceArray<float> values(count);
      cuda::kept_inputs(device_x.vector(), keep, group, {inputs.vector(), values.vector()}, stream_);
      return std::tuple(inputs.values(), values.values());
    };
    const auto found = testing::in_every_order(work);
    EXPECT_TRUE(testing::same_bytes(found, std::tuple(expected.inputs, expected.values)))
        << keep << ":" << group << " of " << width;
    if (testing::can_leave_out_barriers() && group == 64 && width > group) {
      EXPECT_TRUE(testing::needs_its_barriers(work));
    }
  }
};

TEST_F(KeptInputsKernel, KeepsWhatTheCpuKeeps) {
  for (const int64_t group : {1, 2, 3, 4, 8, 16, 32, 64, 300}) {
    for (const int64_t groups : {0, 1, 5, 40}) {
      const Tensor<float, 2> x = testing::random_matrix(1, group * groups, 1);
      for (const int64_t keep : {int64_t{1}, (group + 1) / 2, group}) {
        expect_those_of_the_cpu(x, keep, group);
      }
    }
  }
}

TEST_F(KeptInputsKernel, BreaksTiesAsTheCpuDoes) {
  Tensor<float, 2> x = testing::random_matrix(1, 16 * 20, 2);
  for (float& value : x.view().span()) value = static_cast<float>(static_cast<int>(value * 3.0f));
  x.data()[5] = NAN;
  x.data()[6] = -INFINITY;
  for (const int64_t group : {4, 16, 64}) expect_those_of_the_cpu(x, group / 2, group);
}

}  // namespace
}  // namespace orthant::kernels
