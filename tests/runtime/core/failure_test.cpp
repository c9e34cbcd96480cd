#include "runtime/core/failure.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>
#include <string>

namespace orthant {
namespace {

TEST(Failure, AnErrorKeepsItsCodeAndMessage) {
  const Failure failure = failure_of(Error(ExitCode::kData, {.problem = "p", .why = "w", .suggestion = "s"}));
  EXPECT_EQ(failure.code, ExitCode::kData);
  EXPECT_EQ(failure.message, "p (w) s");
}

TEST(Failure, MemoryThatRanOutIsAConfigurationTooLarge) {
  const Failure failure = failure_of(std::bad_alloc());
  EXPECT_EQ(failure.code, ExitCode::kConfig);
  EXPECT_EQ(failure.message.find("bad_alloc"), std::string::npos) << failure.message;
}

TEST(Failure, AnythingElseIsABug) {
  EXPECT_EQ(failure_of(std::logic_error("odd")).code, ExitCode::kInternal);
  EXPECT_EQ(failure_of(std::logic_error("odd")).message, "odd");
}

}  // namespace
}  // namespace orthant
