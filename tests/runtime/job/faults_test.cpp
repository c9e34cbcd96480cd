#include "runtime/job/faults.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>

#include "runtime/core/error.h"

namespace orthant {
namespace {

class FaultPoints : public ::testing::Test {
 protected:
  ~FaultPoints() override { arm_faults("", 0); }
};

TEST_F(FaultPoints, DoNothingUnlessArmedForThisRankAndPoint) {
  fault_point("store.read");
  arm_faults("store.read:1:1:throw,other:0:1:throw", 0);
  EXPECT_NO_THROW(fault_point("store.read"));
  EXPECT_THROW(fault_point("other"), Error);
}

TEST_F(FaultPoints, HappenTheNthTimeOnly) {
  arm_faults("step:*:3:throw", 5);
  fault_point("step");
  fault_point("step");
  EXPECT_THROW(fault_point("step"), Error);
  EXPECT_NO_THROW(fault_point("step"));
}

TEST_F(FaultPoints, GiveAnErrnoToSystemCallsOrThrowIt) {
  arm_faults("write:0:1:errno:28,sync:0:1:errno:5", 0);
  EXPECT_EQ(fault_errno("write"), ENOSPC);
  EXPECT_EQ(fault_errno("write"), 0);
  try {
    fault_point("sync");
    FAIL() << "an armed errno is thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kIo);
  }
}

TEST_F(FaultPoints, EndTheProcess) {
  EXPECT_EXIT((arm_faults("a:0:1:exit:7", 0), fault_point("a")), ::testing::ExitedWithCode(7), "");
  EXPECT_EXIT((arm_faults("a:0:1:kill", 0), fault_point("a")), ::testing::KilledBySignal(SIGKILL), "");
}

TEST_F(FaultPoints, Sleep) {
  arm_faults("a:0:1:sleep:0.05", 0);
  const auto start = std::chrono::steady_clock::now();
  fault_point("a");
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(50));
}

TEST_F(FaultPoints, RejectWhatIsNotUnderstood) {
  for (const char* text : {"a", "a:0:1", "a:0:1:explode", "a:x:1:kill", "a:0:0:kill", "a:0:y:kill",
                           "a:0:1:sleep", "a:0:1:sleep:long", "a:0:1:kill:9", ":0:1:kill", "a:0:1:kill,"}) {
    try {
      arm_faults(text, 0);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kUsage) << text;
      EXPECT_NE(std::string(error.what()).find("ORTHANT_FAULT"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace orthant
