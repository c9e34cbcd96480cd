#include "models/adapt/crops.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/core/error.h"

namespace orthant {
namespace {

TEST(Crops, BeginAnywhereTheTextHoldsThem) {
  const auto starts = models::crop_starts(110, 2000, 100, 1);
  EXPECT_EQ(*std::min_element(starts.begin(), starts.end()), 0);
  // The reference's upper bound leaves the last place out.
  EXPECT_EQ(*std::max_element(starts.begin(), starts.end()), 9);
  EXPECT_EQ(models::crop_starts(110, 2000, 100, 1), starts);
  EXPECT_NE(models::crop_starts(110, 2000, 100, 2), starts);
}

TEST(Crops, OfALargerSetBeginWithThoseOfASmaller) {
  const auto few = models::crop_starts(5000, 3, 100, 0), many = models::crop_starts(5000, 9, 100, 0);
  EXPECT_TRUE(std::equal(few.begin(), few.end(), many.begin()));
}

TEST(Crops, RefuseAShortText) {
  EXPECT_THROW((void)models::crop_starts(100, 1, 100, 0), Error);
}

TEST(CropOrder, IsAnotherPermutationEachEpoch) {
  const auto first = models::crop_order(50, 3, 0), second = models::crop_order(50, 3, 1);
  EXPECT_NE(first, second);
  for (auto order : {first, second}) {
    std::sort(order.begin(), order.end());
    for (int64_t i = 0; i < 50; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
  }
  EXPECT_TRUE(models::crop_order(0, 0, 0).empty());
}

}  // namespace
}  // namespace orthant
