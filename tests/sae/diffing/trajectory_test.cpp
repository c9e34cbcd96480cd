#include "sae/diffing/trajectory.h"

#include <gtest/gtest.h>

namespace orthant::sae {
namespace {

using Presence = std::vector<bool>;

TEST(Trajectory, CountsWhatComesAndGoes) {
  const Trajectory found = follow({{true, false, false, true, false},   // S
                                   {true, true, false, false, false},   // D
                                   {true, false, true, true, false}});  // F
  ASSERT_EQ(found.stages.size(), 3u);
  EXPECT_EQ(found.stages[0].present, 2);
  EXPECT_EQ(found.stages[0].gained, 0);
  EXPECT_EQ(found.stages[1].present, 2);
  EXPECT_EQ(found.stages[1].gained, 1);
  EXPECT_EQ(found.stages[1].lost, 1);
  EXPECT_EQ(found.stages[2].present, 3);
  EXPECT_EQ(found.stages[2].gained, 2) << "one of them was there at first";
  EXPECT_EQ(found.stages[2].lost, 1);
  EXPECT_EQ(found.is_specific, (Presence{false, false, true, false, false}));
}

TEST(Trajectory, OfOneStageAllThatIsThereIsSpecific) {
  const Trajectory found = follow({{true, false}});
  EXPECT_EQ(found.stages[0].present, 1);
  EXPECT_EQ(found.is_specific, (Presence{true, false}));
  EXPECT_TRUE(follow({{}, {}}).is_specific.empty());
}

}  // namespace
}  // namespace orthant::sae
