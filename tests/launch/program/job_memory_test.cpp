#include "launch/program/job_memory.h"

#include <gtest/gtest.h>

#include "tests/support/code_of.h"

namespace orthant::launch {
namespace {

constexpr Device kCuda{DeviceKind::kCuda, 0};

TEST(JobMemory, IsOneOnTheCpu) {
  JobMemory memory(kCpu);
  EXPECT_EQ(&memory.device(), &memory.host());
}

TEST(JobMemory, HasTheHostBesideADevice) {
  JobMemory memory(JobMemory::Counting{}, kCuda);
  EXPECT_EQ(memory.device().device(), kCuda);
  EXPECT_EQ(memory.host().device(), kCpu);
  (void)memory.device().allocate("weights", 1000);
  (void)memory.host().allocate("store", 30);
  EXPECT_EQ(memory.device().allocated_bytes(), 1000);
  EXPECT_EQ(memory.beside_bytes(), 30);
}

TEST(JobMemory, PredictsWhatWasCountedAndRefusesWhatTheHostLacks) {
  JobMemory memory(kCpu), small(JobMemory::Counting{}, kCpu), large(JobMemory::Counting{}, kCpu);
  (void)small.host().allocate("weights", 1000);
  (void)large.host().allocate("weights", int64_t{1} << 50);
  memory.predict(small, "this job", 1, "Use less.");
  ASSERT_EQ(memory.device().segments().size(), 1u);
  EXPECT_EQ(memory.device().segments()[0].predicted_bytes, 1000);
  EXPECT_EQ(testing::code_of([&] { memory.predict(large, "this job", 1, "Use less."); }), ExitCode::kConfig);
}

}  // namespace
}  // namespace orthant::launch
