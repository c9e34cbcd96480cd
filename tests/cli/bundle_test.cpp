// The bundle for a bare GPU host: what is in it starts with nothing but the bundle and the host's C library.
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "runtime/device/device.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using testing::ended;
using testing::Outcome;
using testing::run_command;

constexpr int64_t kMostBytes = 60'000'000;

class Bundle : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::filesystem::path build = std::filesystem::path(ORTHANT_PROGRAM).parent_path();
    if (!std::filesystem::exists(build / "test_cuda")) GTEST_SKIP() << "this build has no CUDA part";
    ASSERT_TRUE(
        ended(run_command("BUILD_DIR='" + build.string() + "' " ORTHANT_SOURCE_DIR "/launch/bundle.sh " +
                          folder.file("bundle.tar.gz")),
              0));
    ASSERT_TRUE(
        ended(run_command("tar -C " + folder.path().string() + " -xzf " + folder.file("bundle.tar.gz")), 0));
  }
  // With no other path to libraries than the bundle's.
  [[nodiscard]] Outcome run(const std::string& command) const {
    return run_command("cd / && env -i PATH=/usr/bin:/bin LD_LIBRARY_PATH=" + folder.file("orthant-gpu/lib") +
                       " " + command);
  }
  testing::TempDir folder;
};

TEST_F(Bundle, IsSmallAndItsProgramsNeedNothingElseOfTheHost) {
  int64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path() / "orthant-gpu")) {
    if (entry.is_regular_file()) bytes += static_cast<int64_t>(entry.file_size());
  }
  EXPECT_LT(bytes, kMostBytes);
  for (const std::string program : {"orthant", "test_cuda", "test_device_cuda", "nccl_rank"}) {
    const Outcome libraries = run("ldd " + folder.file("orthant-gpu/bin/" + program));
    ASSERT_TRUE(ended(libraries, 0));
    std::istringstream lines(libraries.out);
    for (std::string line; std::getline(lines, line);) {
      const bool is_own = line.find(folder.path().string()) != std::string::npos;
      const bool is_c_library =
          line.find("/libc.so") != std::string::npos || line.find("/libm.so") != std::string::npos ||
          line.find("ld-linux") != std::string::npos || line.find("libresolv") != std::string::npos ||
          line.find("linux-vdso") != std::string::npos;
      EXPECT_TRUE(is_own || is_c_library) << program << " takes from the host: " << line;
    }
  }
  EXPECT_TRUE(ended(run(folder.file("orthant-gpu/bin/orthant") + " --version"), 0));
}

TEST_F(Bundle, RungWithoutAGpuSaysSo) {
  if (cuda_device_count() > 0) GTEST_SKIP() << "this host has a GPU";
  const Outcome outcome = run(folder.file("orthant-gpu/run.sh") + " " + folder.file("results"));
  EXPECT_TRUE(ended(outcome, 69));
  EXPECT_NE(outcome.err.find("no GPU is usable"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace orthant
