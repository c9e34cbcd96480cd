// Worlds over the real NCCL on a host with a GPU: processes of tests/support/nccl_rank.cpp that meet by a
// file. Two ranks on one GPU are hosts of their own to NCCL (ORTHANT_NCCL_SHARE_GPU=1) and talk over the
// loopback.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "runtime/comm/nccl_api.h"
#include "runtime/device/device.h"
#include "tests/support/code_of.h"
#include "tests/support/missing_device.h"
#include "tests/support/temp_dir.h"

namespace orthant::testing {
namespace {

struct Ended {
  std::vector<int> codes;  // of every rank
  std::string output;
  double seconds = 0.0;
};

// Lines "rank R ends with C" after the ranks' own output.
Ended run_ranks_of_nccl(int ranks, const std::string& environment, const std::string& mode) {
  const TempDir folder;
  std::string script = environment + " ";
  for (int r = 0; r < ranks; ++r) {
    script += fmt::format("ORTHANT_RANK={} ORTHANT_WORLD={} ORTHANT_NCCL_ID={} timeout 150 {} {} & p{}=$!; ",
                          r, ranks, folder.file("id"), ORTHANT_NCCL_RANK, mode, r);
  }
  for (int r = 0; r < ranks; ++r) script += fmt::format("wait $p{}; echo rank {} ends with $?; ", r, r);
  const auto start = std::chrono::steady_clock::now();
  std::FILE* const pipe = ::popen(("{ " + script + "} 2>&1").c_str(), "r");
  Ended ended;
  std::array<char, 4096> part;
  while (const size_t count = std::fread(part.data(), 1, part.size(), pipe))
    ended.output.append(part.data(), count);
  ::pclose(pipe);
  ended.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (int r = 0; r < ranks; ++r) {
    const std::string line = fmt::format("rank {} ends with ", r);
    const size_t at = ended.output.find(line);
    ended.codes.push_back(at == std::string::npos ? -1 : std::atoi(ended.output.c_str() + at + line.size()));
  }
  return ended;
}

constexpr const char* kQuiet = "export NCCL_DEBUG=WARN;";
constexpr const char* kShared =
    "export ORTHANT_NCCL_SHARE_GPU=1 NCCL_SOCKET_IFNAME=lo NCCL_IB_DISABLE=1 NCCL_CUMEM_ENABLE=0 "
    "NCCL_MAX_CTAS=2 "
    "NCCL_DEBUG=WARN;";

class NcclWorld : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0) return skip_or_fail("no CUDA device is usable here");
    std::string why;
    if (code_of([] { (void)nccl_api(); }, &why) != ExitCode::kDone) return skip_or_fail(why);
  }
};

TEST_F(NcclWorld, OneRankRunsEveryOperation) {
  const Ended job = run_ranks_of_nccl(1, kQuiet, "");
  EXPECT_EQ(job.codes, std::vector<int>{0}) << job.output;
}

TEST_F(NcclWorld, TwoRanksOnOneGpuRunEveryOperation) {
  const Ended job = run_ranks_of_nccl(2, kShared, "");
  EXPECT_EQ(job.codes, (std::vector<int>{0, 0})) << job.output;
}

TEST_F(NcclWorld, RankThatIsLostEndsTheOtherWithSeventyOne) {
  const Ended job = run_ranks_of_nccl(2, kShared, "lost");
  EXPECT_EQ(job.codes, (std::vector<int>{71, 0})) << job.output;
  EXPECT_NE(job.output.find("orthant: rank 0: "), std::string::npos) << job.output;
}

TEST_F(NcclWorld, TwoGpusRunEveryOperation) {
  if (cuda_device_count() < 2) GTEST_SKIP() << "needs two CUDA devices";
  const Ended job = run_ranks_of_nccl(2, kQuiet, "");
  EXPECT_EQ(job.codes, (std::vector<int>{0, 0})) << job.output;
}

}  // namespace
}  // namespace orthant::testing
