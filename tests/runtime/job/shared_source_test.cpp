#include "runtime/job/shared_source.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/support/matrix_source.h"

namespace orthant {
namespace {

constexpr int64_t kWidth = 3;

testing::MatrixSource counting_rows(int64_t rows) {
  std::vector<float> values(static_cast<size_t>(rows * kWidth));
  std::iota(values.begin(), values.end(), 0.0f);
  return {values, kWidth};
}

class SharedSourceTest : public ::testing::Test {
 protected:
  std::vector<float> read(ActivationSource& source, int64_t first, int64_t count,
                          Split split = Split::kTrain) {
    Tensor<float, 2> rows(memory_, "rows", {count, kWidth});
    source.read(split, first, rows.view(), nullptr);
    return {rows.data(), rows.data() + count * kWidth};
  }

  Memory memory_;
  testing::MatrixSource inner_ = counting_rows(50);
};

TEST_F(SharedSourceTest, ReadersInTurnCostOneReading) {
  SharedSource shared(inner_, 16, memory_);
  for (int64_t step = 0; step < 12; ++step) {
    for (int reader = 0; reader < 3; ++reader) {
      ASSERT_EQ(read(shared, step * 4, 4), read(inner_, step * 4, 4)) << step;
    }
  }
  EXPECT_EQ(shared.rows_read(), 48);
  EXPECT_EQ(shared.rows_given(), 144);
}

TEST_F(SharedSourceTest, GivesWhatTheSourceGivesInAnyOrderAndSize) {
  SharedSource shared(inner_, 10, memory_);
  const std::vector<std::pair<int64_t, int64_t>> reads = {{0, 4}, {3, 5},  {1, 2},  {0, 10}, {2, 8},  {40, 9},
                                                          {0, 4}, {45, 1}, {7, 12}, {7, 3},  {96, 7}, {0, 0}};
  for (const auto& [first, count] : reads) {
    EXPECT_EQ(read(shared, first, count), read(inner_, first, count)) << first << " " << count;
  }
}

TEST_F(SharedSourceTest, KeepsSplitsApart) {
  SharedSource shared(inner_, 16, memory_);
  (void)read(shared, 0, 4, Split::kTrain);
  (void)read(shared, 0, 4, Split::kHoldout);
  EXPECT_EQ(shared.rows_read(), 8);
}

TEST_F(SharedSourceTest, ReadsMoreThanItsRoomThrough) {
  SharedSource shared(inner_, 4, memory_);
  EXPECT_EQ(read(shared, 0, 9), read(inner_, 0, 9));
  EXPECT_EQ(read(shared, 0, 9), read(inner_, 0, 9));
  EXPECT_EQ(shared.rows_read(), 18);
}

}  // namespace
}  // namespace orthant
