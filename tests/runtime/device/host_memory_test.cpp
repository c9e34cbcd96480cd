#include "runtime/device/host_memory.h"

#include <gtest/gtest.h>

#include <string>

#include "runtime/device/buffer.h"
#include "tests/support/code_of.h"

namespace orthant {
namespace {

TEST(HostMemory, ABufferLargerThanTheHostIsRefusedAtOnce) {
  EXPECT_GT(host_memory_bytes(), int64_t{1} << 26);
  std::string message;
  const ExitCode code =
      testing::code_of([] { const Buffer buffer(kCpu, host_memory_bytes() + 1); }, &message);
  EXPECT_EQ(code, ExitCode::kConfig);
  EXPECT_NE(message.find("the host has " + std::to_string(host_memory_bytes())), std::string::npos)
      << message;
}

}  // namespace
}  // namespace orthant
