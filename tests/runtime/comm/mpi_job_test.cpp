// How MPI jobs end: real jobs of tests/support/ending_rank.cpp, seen from outside as a job script sees them.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "runtime/comm/nccl_api.h"
#include "runtime/device/device.h"
#include "tests/support/code_of.h"
#include "tests/support/temp_dir.h"

namespace orthant::testing {
namespace {

struct Ended {
  int code;
  std::string output;
  double seconds;
};

constexpr const char* kEnvironment =
    "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 "
    "OMPI_MCA_hwloc_base_binding_policy=none OMP_NUM_THREADS=1; ";

Ended run_shell(const std::string& script) {
  const auto start = std::chrono::steady_clock::now();
  std::FILE* pipe = ::popen((kEnvironment + std::string("{ ") + script + "; } 2>&1").c_str(), "r");
  std::string output;
  char part[4096];
  while (const size_t count = std::fread(part, 1, sizeof part, pipe)) output.append(part, count);
  const int status = ::pclose(pipe);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output, taken.count()};
}

Ended run_job(int ranks, const std::string& mode, const TempDir& folder) {
  return run_shell(fmt::format("timeout 50 mpirun -n {} {} {} {}", ranks, ORTHANT_ENDING_RANK, mode,
                               folder.path().string()));
}

int occurrences(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(MpiJob, EndsWithZero) {
  const TempDir folder;
  const Ended job = run_job(3, "steps", folder);
  EXPECT_EQ(job.code, 0) << job.output;
}

TEST(MpiJob, RunsAloneWithoutALauncher) {
  const TempDir folder;
  const Ended job = run_shell(fmt::format("unset OMPI_COMM_WORLD_RANK PMIX_RANK PMI_RANK; {} steps {}",
                                          ORTHANT_ENDING_RANK, folder.path().string()));
  EXPECT_EQ(job.code, 0) << job.output;
  const Ended failed = run_shell(fmt::format("{} all_fail {}", ORTHANT_ENDING_RANK, folder.path().string()));
  EXPECT_EQ(failed.code, 78) << failed.output;
  EXPECT_EQ(failed.output, "orthant: k=0 (k is at least 1)\n");
}

TEST(MpiJob, RefusesSeveralTasksOfSrunWithoutPmix) {
  const TempDir folder;
  const Ended job = run_shell(
      fmt::format("SLURM_STEP_NUM_TASKS=2 {} steps {}", ORTHANT_ENDING_RANK, folder.path().string()));
  EXPECT_EQ(job.code, 78);
  EXPECT_NE(job.output.find("srun --mpi=pmix"), std::string::npos) << job.output;
}

TEST(MpiJob, DeadlineEndsItWithSeventyOneAndNamesTheOperation) {
  const TempDir folder;
  const Ended job = run_job(3, "never_comes", folder);
  EXPECT_EQ(job.code, 71) << job.output;
  EXPECT_NE(job.output.find("gave up all_reduce of 1 f32 elements among 3 ranks"), std::string::npos)
      << job.output;
  EXPECT_LT(job.seconds, 1 + 5 + 4) << "deadline, promise, launch";
  const std::string records =
      contents(folder.file("flight-00000.json")) + contents(folder.file("flight-00002.json"));
  EXPECT_NE(records.find("\"operation\": \"all_reduce\""), std::string::npos) << job.output;
}

TEST(MpiJob, StoppedRankEndsItWithSeventyOne) {
  const TempDir folder;
  ::setenv("ORTHANT_FAULT", "step:1:2:stop", 1);
  const Ended job = run_job(2, "steps", folder);
  ::unsetenv("ORTHANT_FAULT");
  EXPECT_EQ(job.code, 71) << job.output;
}

TEST(MpiJob, KilledRankEndsItWithItsSignal) {
  const TempDir folder;
  ::setenv("ORTHANT_FAULT", "step:1:3:kill", 1);
  const Ended job = run_job(2, "steps", folder);
  ::unsetenv("ORTHANT_FAULT");
  EXPECT_EQ(job.code, 137) << job.output;
}

TEST(MpiJob, ErrorOfOneRankEndsItWithThatCode) {
  const TempDir folder;
  const Ended job = run_job(3, "one_throws", folder);
  EXPECT_EQ(job.code, 65) << job.output;
  EXPECT_EQ(occurrences(job.output, "orthant: rank 1: shard 1 is damaged"), 1) << job.output;
  EXPECT_LT(job.seconds, 10);
}

TEST(MpiJob, ErrorOfEveryRankIsToldOnce) {
  const TempDir folder;
  const Ended job = run_job(3, "all_fail", folder);
  EXPECT_EQ(job.code, 78) << job.output;
  EXPECT_EQ(occurrences(job.output, "k=0 (k is at least 1)"), 1) << job.output;
  EXPECT_EQ(occurrences(job.output, "MPI_ABORT"), 0) << job.output;
}

TEST(MpiJob, AgreedErrorKeepsTheCodeOfTheFailingRank) {
  const TempDir folder;
  const Ended job = run_job(2, "agreed", folder);
  EXPECT_EQ(job.code, 74) << job.output;
  EXPECT_EQ(occurrences(job.output, "rank 1 failed to open the store: shard 1 is absent"), 1) << job.output;
}

TEST(MpiJob, RanksThatCannotBeGpusAllEndWithSixtyNine) {
  if (cuda_device_count() > 0) GTEST_SKIP() << "this host has a GPU";
  const TempDir folder;
  const Ended job = run_job(2, "gpus", folder);
  EXPECT_EQ(job.code, 69) << job.output;
  EXPECT_EQ(occurrences(job.output, "orthant: rank 0 failed to "), 1) << job.output;
  EXPECT_EQ(occurrences(job.output, "MPI_ABORT"), 0) << job.output;
}

TEST(MpiJob, InterfaceThatThereIsNotIsRefusedBeforeNcclStarts) {
  if (code_of([] { (void)nccl_api(); }) != ExitCode::kDone) GTEST_SKIP() << "NCCL is not built in";
  const TempDir folder;
  ::setenv("NCCL_SOCKET_IFNAME", "nosuch0", 1);
  const Ended job = run_job(2, "gpus", folder);
  ::unsetenv("NCCL_SOCKET_IFNAME");
  EXPECT_EQ(job.code, 78) << job.output;
  EXPECT_EQ(occurrences(job.output, "rank 0 failed to prepare NCCL: NCCL_SOCKET_IFNAME=nosuch0 names no"), 1)
      << job.output;
}

TEST(MpiJob, StopSignalToMpirunLetsItEndWithSeventyFive) {
  const TempDir folder;
  const Ended job =
      run_shell(fmt::format("mpirun --timeout 40 -n 2 {0} until_stopped {1} & job=$!; "
                            "for i in $(seq 400); do [ -e {1}/ready ] && break; sleep 0.05; done; "
                            "kill -USR1 $job; wait $job",
                            ORTHANT_ENDING_RANK, folder.path().string()));
  EXPECT_EQ(job.code, 75) << job.output;
}

}  // namespace
}  // namespace orthant::testing
