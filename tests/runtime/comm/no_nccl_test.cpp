// A build without NCCL.
#include <gtest/gtest.h>

#include "runtime/comm/nccl_api.h"
#include "tests/support/code_of.h"

namespace orthant::testing {
namespace {

TEST(NoNccl, SaysThatItIsNotConfigured) {
  std::string text;
  EXPECT_EQ(code_of([] { (void)nccl_api(); }, &text), ExitCode::kDevice);
  EXPECT_NE(text.find("NCCL is not configured"), std::string::npos) << text;
}

TEST(NoNccl, TestsOfTheLibraryAreSkipped) {
  GTEST_SKIP() << "NCCL is not built in";
}

}  // namespace
}  // namespace orthant::testing
