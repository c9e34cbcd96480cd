#include "runtime/core/order.h"

#include <gtest/gtest.h>

#include <vector>

#include "runtime/core/share.h"

namespace orthant {
namespace {

class PermutationSize : public ::testing::TestWithParam<int64_t> {};

TEST_P(PermutationSize, VisitsEveryElementOnce) {
  const int64_t size = GetParam();
  const KeyedPermutation order(size, 42, Purpose::kSampleOrder, 3);
  std::vector<int> visits(static_cast<size_t>(size), 0);
  for (int64_t i = 0; i < size; ++i) ++visits.at(static_cast<size_t>(order(i)));
  for (const int count : visits) EXPECT_EQ(count, 1);
}
INSTANTIATE_TEST_SUITE_P(Sizes, PermutationSize, ::testing::Values(1, 2, 3, 4, 5, 16, 17, 1000, 8191, 65537));

TEST(KeyedPermutation, RoundsDiffer) {
  const KeyedPermutation first(1000, 1, Purpose::kSampleOrder, 0), second(1000, 1, Purpose::kSampleOrder, 1);
  int equal = 0;
  for (int64_t i = 0; i < 1000; ++i) equal += first(i) == second(i);
  EXPECT_LT(equal, 20);
}

TEST(Share, PartsCoverTheTotalInOrder) {
  for (const int64_t total : {0, 1, 5, 12, 13}) {
    for (const int64_t parts : {1, 2, 3, 4, 7}) {
      int64_t next = 0;
      for (int64_t i = 0; i < parts; ++i) {
        const Share share = share_of(total, parts, i);
        EXPECT_EQ(share.first, next);
        for (int64_t e = share.first; e < share.end(); ++e) EXPECT_EQ(owner_of(total, parts, e), i);
        next = share.end();
      }
      EXPECT_EQ(next, total);
    }
  }
}

}  // namespace
}  // namespace orthant
