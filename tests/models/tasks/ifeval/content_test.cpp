#include <gtest/gtest.h>

#include "tests/models/tasks/ifeval/instruction_case.h"

namespace orthant {
namespace {

using models::Instruction;
using testing::strictly;

TEST(IfevalContent, PlaceholdersAreInSquareBracketsOnALine) {
  const auto placeholders = [](int64_t count) {
    return Instruction{"detectable_content:number_placeholders", {{"num_placeholders", count}}};
  };
  EXPECT_TRUE(strictly(placeholders(2), "Dear [name], come to [your address]."));
  EXPECT_FALSE(strictly(placeholders(3), "Dear [name], come to [your address]."));
  EXPECT_TRUE(strictly(placeholders(1), "[]"));
  EXPECT_FALSE(strictly(placeholders(1), "[name\nrest]"));
  EXPECT_TRUE(strictly(placeholders(1), "[[a]]"));
  EXPECT_FALSE(strictly(placeholders(2), "[[a]]"));
  EXPECT_FALSE(strictly(placeholders(1), ""));
}

TEST(IfevalContent, ThePostscriptHasItsMark) {
  const auto mark = [](const char* of) {
    return Instruction{"detectable_content:postscript", {{"postscript_marker", of}}};
  };
  EXPECT_TRUE(strictly(mark("P.S."), "Bye.\nP.S. More."));
  EXPECT_TRUE(strictly(mark("P.S."), "Bye. p. s. more"));
  EXPECT_FALSE(strictly(mark("P.S."), "Bye.\nPS more"));
  EXPECT_FALSE(strictly(mark("P.S."), "Bye.\nP.S more"));
  EXPECT_TRUE(strictly(mark("P.P.S"), "Bye.\nP.P.S More"));
  EXPECT_TRUE(strictly(mark(" P.P.S "), "Bye.\nP. P. S. More"));
  EXPECT_FALSE(strictly(mark("P.P.S"), "Bye.\nP.S. More"));
  EXPECT_TRUE(strictly(mark("Note:"), "end\nNOTE: more"));
  EXPECT_FALSE(strictly(mark("Note:"), "end\nnote more"));
  EXPECT_FALSE(strictly(mark("P.S."), "\n"));
}

}  // namespace
}  // namespace orthant
