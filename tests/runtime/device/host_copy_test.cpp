#include "runtime/device/host_copy.h"

#include <gtest/gtest.h>

namespace orthant {
namespace {

TEST(HostCopy, IsTheValuesThemselvesOnTheCpu) {
  Memory memory;
  Tensor<float, 2> values(memory, "test", {2, 3});
  HostCopy copy(kCpu, values.view().bytes());
  EXPECT_EQ(copy.of(values.view()).data, values.data());
  EXPECT_EQ(copy.of(values.view().rows(1, 1)).data, values.view().row(1));
}

}  // namespace
}  // namespace orthant
