#include "runtime/job/block_sums.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/comm/world.h"
#include "runtime/core/rng.h"

namespace orthant {
namespace {

constexpr int64_t kBlocks = 11;
constexpr int64_t kSums = 5;

// What block `block` adds to sum `i`: of sizes so different that the order of additions shows.
double part(int64_t block, int64_t i, int64_t row) {
  const auto element = static_cast<uint64_t>((block * kSums + i) * 7 + row);
  return random_normal(3, Purpose::kTest, 0, element) * std::exp2(static_cast<double>(block % 5) * 13.0);
}

void add_blocks(BlockSums& sums, World& world, int64_t first, int64_t end) {
  for (int64_t done = first; done < end; done += world.size()) {
    const int64_t block = done + world.rank();
    for (int64_t i = 0; i < kSums && block < end; ++i) {
      for (int64_t row = 0; row < 7; ++row) sums.own()[static_cast<size_t>(i)] += part(block, i, row);
    }
    sums.add(*world.data);
  }
}

std::vector<double> of_one_rank() {
  std::vector<double> total(kSums, 0.0);
  for (int64_t block = 0; block < kBlocks; ++block) {
    for (int64_t i = 0; i < kSums; ++i) {
      double own = 0.0;
      for (int64_t row = 0; row < 7; ++row) own += part(block, i, row);
      total[static_cast<size_t>(i)] += own;
    }
  }
  return total;
}

TEST(BlockSums, HaveTheSameBitsAtAnyNumberOfRanks) {
  const std::vector<double> wanted = of_one_rank();
  for (const int ranks : {1, 2, 3, 4}) {
    run_thread_ranks(ranks, [&](World world) {
      BlockSums sums("test", kSums, world.rank());
      add_blocks(sums, world, 0, kBlocks);
      EXPECT_EQ(std::vector<double>(sums.total().begin(), sums.total().end()), wanted) << ranks;
    });
  }
}

TEST(BlockSums, GoOnFromTheirStateAtAnotherNumberOfRanks) {
  const std::vector<double> wanted = of_one_rank();
  std::vector<double> saved(kSums);
  run_thread_ranks(3, [&](World world) {
    BlockSums sums("test", kSums, world.rank());
    add_blocks(sums, world, 0, 6);
    const std::vector<TensorSlice> state = sums.state();
    ASSERT_EQ(state.size(), 1u);
    EXPECT_EQ(state[0].writes, world.rank() == 0);
    if (state[0].writes) std::copy_n(static_cast<const double*>(state[0].data), kSums, saved.begin());
  });
  run_thread_ranks(2, [&](World world) {
    BlockSums sums("test", kSums, world.rank());
    std::copy(saved.begin(), saved.end(), static_cast<double*>(sums.state()[0].data));
    add_blocks(sums, world, 6, kBlocks);
    EXPECT_EQ(std::vector<double>(sums.total().begin(), sums.total().end()), wanted);
  });
}

}  // namespace
}  // namespace orthant
