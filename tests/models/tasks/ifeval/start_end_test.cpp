#include <gtest/gtest.h>

#include "tests/models/tasks/ifeval/instruction_case.h"

namespace orthant {
namespace {

using models::Instruction;
using testing::only_loosely;
using testing::strictly;

TEST(IfevalStartEnd, ThePhraseEndsTheResponse) {
  const Instruction end{"startend:end_checker", {{"end_phrase", "That is ALL. "}}};
  EXPECT_TRUE(strictly(end, "Long text. That is all."));
  EXPECT_TRUE(strictly(end, "\"Quoted. That is all.\"\n"));
  EXPECT_TRUE(strictly(end, "THAT IS ALL.\xC2\xA0"));
  EXPECT_FALSE(strictly(end, "That is all. Bye."));
  EXPECT_FALSE(strictly(end, "That is all"));
  EXPECT_FALSE(strictly(end, "\n"));
  EXPECT_TRUE(only_loosely(end, "So. That is all.\nBye."));
  EXPECT_TRUE(only_loosely(end, "So. *That is all.*"));
}

TEST(IfevalStartEnd, QuotationMarksAreAtBothEnds) {
  const Instruction quoted{"startend:quotation", {}};
  EXPECT_TRUE(strictly(quoted, "\"Text.\""));
  EXPECT_TRUE(strictly(quoted, " \n\"Ü\"\t"));
  EXPECT_TRUE(strictly(quoted, "\"\""));
  EXPECT_FALSE(strictly(quoted, "\""));
  EXPECT_FALSE(strictly(quoted, "\"Text."));
  EXPECT_FALSE(strictly(quoted, "Text.\""));
  EXPECT_FALSE(strictly(quoted, "“Text.”"));
  EXPECT_FALSE(strictly(quoted, ""));
  EXPECT_TRUE(only_loosely(quoted, "Here:\n\"Text.\""));
}

}  // namespace
}  // namespace orthant
