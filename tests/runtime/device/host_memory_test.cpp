// What is left of a host's memory, from files laid out as the kernel does.
#include "runtime/device/host_memory.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/run_fixture.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

constexpr int64_t kGibibyte = int64_t{1} << 30;

class HostMemory : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    testing::write_text(folder_.file(path), text);
  }
  [[nodiscard]] int64_t available() const { return available_host_bytes(folder_.file("")); }
  testing::TempDir folder_;
};

TEST_F(HostMemory, IsUnknownWithoutFiles) {
  EXPECT_EQ(available(), std::numeric_limits<int64_t>::max());
}

TEST_F(HostMemory, IsWhatTheKernelCallsAvailable) {
  write("proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n");
  EXPECT_EQ(available(), 8 * kGibibyte);
  write("proc/self/cgroup", "0::/user.slice\n");
  write("sys/fs/cgroup/user.slice/memory.max", "max\n");
  EXPECT_EQ(available(), 8 * kGibibyte);
}

TEST_F(HostMemory, IsNoMoreThanAnyGroupLeaves) {
  write("proc/meminfo", "MemAvailable:    8388608 kB\n");
  write("proc/self/cgroup", "0::/jobs/one\n");
  write("sys/fs/cgroup/jobs/memory.max", std::to_string(4 * kGibibyte));
  write("sys/fs/cgroup/jobs/memory.current", std::to_string(3 * kGibibyte));
  EXPECT_EQ(available(), kGibibyte);
  // Files in the page cache go when they must.
  write("sys/fs/cgroup/jobs/memory.stat", "anon 5\ninactive_file " + std::to_string(kGibibyte) + "\n");
  EXPECT_EQ(available(), 2 * kGibibyte);
  write("sys/fs/cgroup/jobs/one/memory.max", "1000");
  write("sys/fs/cgroup/jobs/one/memory.current", "4000");
  EXPECT_EQ(available(), 0);
}

TEST_F(HostMemory, KnowsVersionOne) {
  write("proc/meminfo", "MemAvailable:    8388608 kB\n");
  write("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/b\n");
  write("sys/fs/cgroup/memory/b/memory.limit_in_bytes", std::to_string(kGibibyte));
  write("sys/fs/cgroup/memory/b/memory.usage_in_bytes", std::to_string(kGibibyte / 2));
  EXPECT_EQ(available(), kGibibyte / 2);
}

TEST(HostMemoryHere, IsSomething) {
  EXPECT_GT(available_host_bytes(), 0);
}

}  // namespace
}  // namespace orthant
