#include "runtime/device/lane.h"

#include <gtest/gtest.h>

namespace orthant {
namespace {

TEST(Lane, OnTheCpuBeginsAndJoinsAtOnce) {
  Stream main;
  Lane lane;
  EXPECT_EQ(&lane.begin(main), &lane.stream());
  EXPECT_EQ(lane.stream().device(), kCpu);
  lane.join(main);
}

}  // namespace
}  // namespace orthant
