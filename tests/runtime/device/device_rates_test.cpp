#include "runtime/device/device_rates.h"

#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "tests/support/code_of.h"

namespace orthant {
namespace {

TEST(DeviceRates, AreStatedOfKnownDevices) {
  for (const char* name : {"a100", "h100", "h200", "b200"}) {
    const DeviceRates rates = stated_rates(name);
    EXPECT_GT(rates.flops, 1e14) << name;
    EXPECT_GT(rates.memory_bytes, 1e12) << name;
    EXPECT_GT(rates.link_bytes, rates.network_bytes) << name;
    EXPECT_GE(rates.capacity_bytes, int64_t{80'000'000'000}) << name;
  }
  EXPECT_EQ(testing::code_of([] { (void)stated_rates("h101"); }), ExitCode::kConfig);
}

TEST(DeviceRates, RanksOfAHostShareIt) {
  const DeviceRates one = host_rates(1, 4e11, 1 << 30);
  const DeviceRates four = host_rates(4, 4e11, 1 << 30);
  EXPECT_DOUBLE_EQ(4 * four.flops, one.flops);
  EXPECT_DOUBLE_EQ(4 * four.memory_bytes, one.memory_bytes);
  EXPECT_EQ(4 * four.capacity_bytes, one.capacity_bytes);
}

}  // namespace
}  // namespace orthant
