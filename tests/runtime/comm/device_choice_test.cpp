#include "runtime/comm/device_choice.h"

#include <gtest/gtest.h>

#include "runtime/comm/world.h"
#include "tests/support/code_of.h"

namespace orthant {
namespace {

using ::orthant::testing::code_of;

TEST(DeviceChoice, TwoRanksDoNotShareADevice) {
  std::string message;
  const auto refused = [&](const std::vector<std::string>& identities, bool may_share) {
    return code_of([&] { refuse_shared_devices(identities, may_share); }, &message);
  };
  EXPECT_EQ(refused({"a", "b", "c"}, false), ExitCode::kDone);
  EXPECT_EQ(refused({"cpu", "cpu"}, false), ExitCode::kDone);
  EXPECT_EQ(refused({"a", "b", "a"}, false), ExitCode::kDevice);
  EXPECT_NE(message.find("ranks 0 and 2"), std::string::npos) << message;
  EXPECT_EQ(refused({"a", "b", "a"}, true), ExitCode::kDone);
  EXPECT_EQ(refused({"a", "cpu"}, true), ExitCode::kDevice);
  EXPECT_NE(message.find("two kinds"), std::string::npos) << message;
}

TEST(DeviceChoice, AllRanksFailWithTheReasonOfOne) {
  if (cuda_device_count() > 0) GTEST_SKIP() << "this host has a CUDA device";
  EXPECT_EQ(code_of([] {
              run_thread_ranks(3, [](World world) {
                EXPECT_EQ(choose_device("cpu", world.local_rank, *world.control), kCpu);
                EXPECT_EQ(choose_device("auto", world.local_rank, *world.control), kCpu);
                (void)choose_device("cuda", world.local_rank, *world.control);
              });
            }),
            ExitCode::kDevice);
}

}  // namespace
}  // namespace orthant
