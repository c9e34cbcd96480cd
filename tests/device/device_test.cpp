// The device of these tests: what it refuses.
#include "runtime/device/device.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "runtime/device/buffer.h"
#include "runtime/device/memory.h"
#include "runtime/device/tensor.h"
#include "tests/device/device.h"

namespace orthant {
namespace {

using DeviceOfTests = testing::DeviceTest;

TEST_F(DeviceOfTests, CopiesThereAndBackKeepBytes) {
  Memory memory(testing::device());
  Tensor<float, 1> there(memory, "test", {3});
  const std::vector<float> sent = {1.0f, -2.0f, 3.5f};
  copy_bytes(there.data(), testing::device(), sent.data(), kCpu, 12);
  EXPECT_EQ(testing::on_host(there.view()), sent);
  there.zero();
  EXPECT_EQ(testing::on_host(there.view()), std::vector<float>(3, 0.0f));
}

TEST_F(DeviceOfTests, IsCounted) {
  EXPECT_GE(cuda_device_count(), 1);
  EXPECT_GT(available_bytes(testing::device()), 0);
}

#if ORTHANT_EMULATED_DEVICE
TEST_F(DeviceOfTests, HostAccessToItsMemoryEndsTheProcess) {
  Memory memory(testing::device());
  Tensor<float, 1> there(memory, "test", {3});
  EXPECT_DEATH({ there.data()[1] = 1.0f; }, "");
  EXPECT_TRUE(std::isnan(testing::on_host(there.view())[1])) << "uninitialised memory is NaN";
}
#endif

}  // namespace
}  // namespace orthant
