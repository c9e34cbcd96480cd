#include "runtime/storage/sample_order.h"

#include <gtest/gtest.h>

#include <set>

namespace orthant {
namespace {

// The (block, row within the block's rows) that each sample of a pass draws.
std::vector<std::pair<int64_t, int64_t>> draws_of(const SampleOrder& order,
                                                  const std::vector<int32_t>& block_rows, int64_t pass) {
  std::vector<std::pair<int64_t, int64_t>> draws;
  const PassLayout layout = order.layout(pass);
  for (int64_t window = 0; window < layout.windows(); ++window) {
    std::vector<std::pair<int64_t, int64_t>> rows;
    for (int64_t i = layout.first_blocks[static_cast<size_t>(window)];
         i < layout.first_blocks[static_cast<size_t>(window) + 1]; ++i) {
      const int64_t block = layout.blocks[static_cast<size_t>(i)];
      for (int32_t row = 0; row < block_rows[static_cast<size_t>(block)]; ++row)
        rows.emplace_back(block, row);
    }
    EXPECT_EQ(static_cast<int64_t>(rows.size()), layout.rows_of(window));
    EXPECT_LE(layout.rows_of(window), order.largest_window_rows());
    const KeyedPermutation permutation = order.permutation(layout, window);
    for (int64_t i = 0; i < permutation.size(); ++i) {
      draws.push_back(rows[static_cast<size_t>(order.shuffles() ? permutation(i) : i)]);
    }
  }
  return draws;
}

const std::vector<int32_t> kBlockRows = {10, 0, 3, 25, 10, 10, 1, 0, 10, 7};

TEST(SampleOrder, EveryRowComesOnceAPass) {
  for (const int64_t window : {1, 12, 30, 1000}) {
    const SampleOrder order(kBlockRows, window, true, 9);
    EXPECT_EQ(order.rows(), 76);
    for (const int64_t pass : {0, 1, 5}) {
      const auto draws = draws_of(order, kBlockRows, pass);
      EXPECT_EQ(std::set(draws.begin(), draws.end()).size(), 76u);
      EXPECT_EQ(draws.size(), 76u);
    }
  }
}

TEST(SampleOrder, PassesAndSeedsDifferAndRepeatThemselves) {
  for (const int64_t window : {20, 1000}) {
    const SampleOrder order(kBlockRows, window, true, 9), same(kBlockRows, window, true, 9),
        other(kBlockRows, window, true, 10);
    EXPECT_EQ(draws_of(order, kBlockRows, 2), draws_of(same, kBlockRows, 2));
    EXPECT_NE(draws_of(order, kBlockRows, 2), draws_of(order, kBlockRows, 3));
    EXPECT_NE(draws_of(order, kBlockRows, 2), draws_of(other, kBlockRows, 2));
  }
}

TEST(SampleOrder, WithoutShufflingTheFileOrderIsKept) {
  const SampleOrder order(kBlockRows, 20, false, 9);
  const auto draws = draws_of(order, kBlockRows, 4);
  EXPECT_TRUE(std::is_sorted(draws.begin(), draws.end()));
  EXPECT_EQ(draws.size(), 76u);
}

TEST(SampleOrder, WindowsAreFoundByRow) {
  const SampleOrder order(kBlockRows, 20, true, 1);
  const PassLayout layout = order.layout(0);
  for (int64_t index = 0; index < order.rows(); ++index) {
    const int64_t window = layout.window_of(index);
    EXPECT_GE(index, layout.first_rows[static_cast<size_t>(window)]);
    EXPECT_LT(index, layout.first_rows[static_cast<size_t>(window) + 1]);
  }
}

TEST(SampleOrder, NoRowsGiveNoWindows) {
  EXPECT_EQ(SampleOrder({}, 20, true, 1).layout(0).windows(), 0);
  EXPECT_EQ(SampleOrder({0, 0}, 20, true, 1).layout(0).windows(), 0);
}

}  // namespace
}  // namespace orthant
