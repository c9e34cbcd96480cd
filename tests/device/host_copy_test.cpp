#include "runtime/device/host_copy.h"

#include <gtest/gtest.h>

#include "tests/device/device.h"

namespace orthant {
namespace {

using HostCopyOfDevice = testing::DeviceTest;

TEST_F(HostCopyOfDevice, HoldsTheValuesOfTheLastCall) {
  Memory memory(testing::device());
  Tensor<float, 2> there(memory, "test", {2, 3});
  const std::vector<float> sent = {1, 2, 3, 4, 5, 6};
  copy_bytes(there.data(), testing::device(), sent.data(), kCpu, there.view().bytes());
  HostCopy copy(testing::device(), there.view().bytes());
  const Matrix<const float> all = copy.of(there.view());
  EXPECT_EQ(all.device, kCpu);
  EXPECT_EQ(std::vector<float>(all.data, all.data + 6), sent);
  const Matrix<const float> last = copy.of(there.view().rows(1, 1));
  EXPECT_EQ(last.shape, (std::array<int64_t, 2>{1, 3}));
  EXPECT_EQ(std::vector<float>(last.data, last.data + 3), (std::vector<float>{4, 5, 6}));
}

TEST_F(HostCopyOfDevice, RefusesMoreThanItHasRoomFor) {
  Memory memory(testing::device());
  Tensor<float, 2> there(memory, "test", {2, 3});
  HostCopy copy(testing::device(), 20);
  EXPECT_THROW((void)copy.of(there.view()), Error);
}

}  // namespace
}  // namespace orthant
