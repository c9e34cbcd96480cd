#include <gtest/gtest.h>

#include "tests/models/tasks/ifeval/instruction_case.h"

namespace orthant {
namespace {

TEST(IfevalPunctuation, NoCommas) {
  const models::Instruction none{"punctuation:no_comma", {}};
  EXPECT_TRUE(testing::strictly(none, "One; two. Three،"));
  EXPECT_FALSE(testing::strictly(none, "One, two."));
  EXPECT_FALSE(testing::strictly(none, ","));
  EXPECT_FALSE(testing::strictly(none, ""));
  EXPECT_FALSE(testing::strictly(none, "\n \t"));
  EXPECT_TRUE(testing::only_loosely(none, "Sure, here:\nOne and two."));
}

}  // namespace
}  // namespace orthant
