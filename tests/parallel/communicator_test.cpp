#include "runtime/comm/communicator.h"

#include "kernels/dense/reduce_parts.h"
#include "runtime/comm/environment_nccl.h"
#include "runtime/comm/start_nccl.h"
#include "tests/parallel/communicator_contract.h"
#include "tests/support/mpi_world.h"

namespace orthant::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Mpi, CommunicatorContract,
                         ::testing::Values(Ranks{"job", [](const auto& body) { body(world()); }}),
                         [](const auto& ranks) { return ranks.param.name; });

bool has_gpus(int ranks) {
  const int gpus = cuda_device_count();
  return gpus >= ranks || (gpus > 0 && ranks_share_gpus());
}

// The body with the data plane of the job's world replaced by NCCL on the GPUs of this host.
void run_on_gpus(const std::function<void(World&)>& body) {
  if (!has_gpus(world().size())) GTEST_SKIP() << "needs a CUDA device for each rank";
  prepare_nccl_environment(world().rank());
  Watchdog watchdog(world().rank(), {}, OnDeadline::kExit);
  const int gpu = world().local_rank % cuda_device_count();
  const NcclApi api = nccl_api(kernels::cuda::reduce_parts);
  const NcclRank own{.api = &api, .watchdog = &watchdog, .device = gpu};
  auto over_mpi = std::exchange(world().data, start_nccl(own, *world().control));
  body(world());
  world().data->close();
  world().data = std::move(over_mpi);
}

// Instantiated where there is a GPU; elsewhere one test is skipped instead of all.
std::vector<Ranks> ranks_on_gpus() {
  if (cuda_device_count() == 0) return {};
  return {{"gpus", run_on_gpus, false}};
}
INSTANTIATE_TEST_SUITE_P(Nccl, CommunicatorContract, ::testing::ValuesIn(ranks_on_gpus()),
                         [](const auto& ranks) { return ranks.param.name; });

TEST(NcclWorld, IsTestedOnThisHost) {
  if (!has_gpus(world().size())) GTEST_SKIP() << "needs a CUDA device for each rank";
}

TEST(MpiWorld, KnowsTheRanksOfTheHost) {
  EXPECT_EQ(world().local_size, world().size());
  EXPECT_EQ(world().local_rank, world().rank());
}

}  // namespace
}  // namespace orthant::testing
