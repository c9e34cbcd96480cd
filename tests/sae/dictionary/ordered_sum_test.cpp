#include "sae/dictionary/ordered_sum.h"

#include "runtime/core/error.h"
#include "tests/parallel/ordered_sum_contract.h"

namespace orthant::testing {
namespace {

class OrderedSumOfRanks : public ::testing::TestWithParam<int> {};

TEST_P(OrderedSumOfRanks, HasTheBitsOfTheTreeOnEveryRank) {
  run_thread_ranks(GetParam(), [](World world) {
    expect_ordered_sums(world);
    expect_ordered_scalar_sum(world);
  });
}
INSTANTIATE_TEST_SUITE_P(All, OrderedSumOfRanks, ::testing::Values(1, 2, 3, 4, 6, 12));

TEST(OrderedSumTree, OrderMattersForTheseValues) {
  int64_t differ = 0;
  for (int64_t i = 0; i < 1000; ++i) {
    std::vector<float> column;
    float left_to_right = 0;
    for (int shard = 0; shard < kVirtualShards; ++shard) {
      column.push_back(shard_value<float>(shard, i));
      left_to_right += column.back();
    }
    differ += left_to_right != tree_sum(column);
  }
  EXPECT_GT(differ, 100);
}

TEST(OrderedSumTree, RejectsRanksThatDoNotDivideTheShards) {
  EXPECT_FALSE(sae::deals_evenly(12, 5));
  EXPECT_FALSE(sae::deals_evenly(12, 24));
  EXPECT_THROW(run_thread_ranks(5,
                                [&](World world) {
                                  Memory memory;
                                  OrderedSum(memory, "test", 1, 12, *world.data);
                                }),
               Error);
}

}  // namespace
}  // namespace orthant::testing
