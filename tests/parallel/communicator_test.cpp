#include "runtime/comm/communicator.h"

#include "tests/parallel/communicator_contract.h"
#include "tests/support/mpi_world.h"

namespace orthant::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Mpi, CommunicatorContract,
                         ::testing::Values(Ranks{"job", [](const auto& body) { body(world()); }}),
                         [](const auto& ranks) { return ranks.param.name; });

TEST(MpiWorld, KnowsTheRanksOfTheHost) {
  EXPECT_EQ(world().local_size, world().size());
  EXPECT_EQ(world().local_rank, world().rank());
}

}  // namespace
}  // namespace orthant::testing
