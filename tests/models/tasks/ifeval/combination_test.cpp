#include <gtest/gtest.h>

#include "tests/models/tasks/ifeval/instruction_case.h"

namespace orthant {
namespace {

using models::Instruction;
using testing::only_loosely;
using testing::strictly;

TEST(IfevalCombination, TwoResponsesDiffer) {
  const Instruction two{"combination:two_responses", {}};
  EXPECT_TRUE(strictly(two, "Yes.\n******\nNo."));
  EXPECT_TRUE(strictly(two, "******\nYes.\n******\nNo.\n******"));
  EXPECT_FALSE(strictly(two, "Yes.\n******\n Yes. "));
  EXPECT_FALSE(strictly(two, "Yes.\n*****\nNo."));
  EXPECT_FALSE(strictly(two, "Yes.\n******\nNo.\n******\nMaybe."));
  EXPECT_FALSE(strictly(two, "Yes.\n******\n\n******\nNo."));
  EXPECT_FALSE(strictly(two, "Yes."));
  EXPECT_FALSE(strictly(two, ""));
}

TEST(IfevalCombination, ThePromptComesFirst) {
  const Instruction repeat{"combination:repeat_prompt", {{"prompt_to_repeat", " Write about Île. "}}};
  EXPECT_TRUE(strictly(repeat, "\nWrite about Île. It is a word."));
  EXPECT_TRUE(strictly(repeat, "WRITE ABOUT ÎLE."));
  EXPECT_FALSE(strictly(repeat, "Sure. Write about Île."));
  EXPECT_FALSE(strictly(repeat, "Write about Île"));
  EXPECT_FALSE(strictly(repeat, ""));
  EXPECT_TRUE(only_loosely(repeat, "Sure:\nWrite about Île. Done."));
  EXPECT_TRUE(only_loosely(repeat, "**Write about Île.** Done."));
}

}  // namespace
}  // namespace orthant
