#include "tests/parallel/ordered_sum_contract.h"
#include "tests/support/mpi_world.h"

namespace orthant::testing {
namespace {

TEST(OrderedSum, HasTheBitsOfTheTreeOverMpi) {
  expect_ordered_sums(world());
  expect_ordered_scalar_sum(world());
}

}  // namespace
}  // namespace orthant::testing
