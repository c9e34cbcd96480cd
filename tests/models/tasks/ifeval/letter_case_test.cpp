#include <gtest/gtest.h>

#include "tests/models/tasks/ifeval/instruction_case.h"

namespace orthant {
namespace {

using models::Instruction;
using testing::only_loosely;
using testing::strictly;

TEST(IfevalLetterCase, CapitalWordsAreCounted) {
  const auto capitals = [](int64_t count, const char* relation) {
    return Instruction{"change_case:capital_word_frequency",
                       {{"capital_frequency", count}, {"capital_relation", relation}}};
  };
  const std::string three = "I saw NASA at WORK-PLACE, Bob.";
  EXPECT_TRUE(strictly(capitals(3, "at least"), three));
  EXPECT_FALSE(strictly(capitals(4, "at least"), three));
  EXPECT_TRUE(strictly(capitals(4, "less than"), three));
  EXPECT_FALSE(strictly(capitals(3, "less than"), three));
  EXPECT_TRUE(strictly(capitals(1, "less than"), "none Here, 12 too"));
  EXPECT_TRUE(strictly(capitals(2, "at least"), "DON'T")) << "DO and N'T";
  EXPECT_TRUE(strictly(capitals(2, "at least"), "ПРИВЕТ ΚΟΣΜΕ"));
  EXPECT_FALSE(strictly(capitals(1, "less than"), "  "));
}

TEST(IfevalLetterCase, AllCapitals) {
  const Instruction capital{"change_case:english_capital", {}};
  EXPECT_TRUE(strictly(capital, "ALL OF IT, 1 TO 9!"));
  EXPECT_TRUE(strictly(capital, "ÀÉÎ ЖЩ ΑΩ"));
  EXPECT_FALSE(strictly(capital, "ALL OF It"));
  EXPECT_FALSE(strictly(capital, "ÀÉî"));
  EXPECT_FALSE(strictly(capital, "123 !"));
  EXPECT_FALSE(strictly(capital, "ǅ")) << "title case is neither";
  EXPECT_FALSE(strictly(capital, ""));
  EXPECT_TRUE(only_loosely(capital, "Sure!\nALL OF IT"));
}

TEST(IfevalLetterCase, AllLowerCase) {
  const Instruction lower{"change_case:english_lowercase", {}};
  EXPECT_TRUE(strictly(lower, "all of it, 1 to 9!"));
  EXPECT_TRUE(strictly(lower, "àéî жщ αως"));
  EXPECT_FALSE(strictly(lower, "all of iT"));
  EXPECT_FALSE(strictly(lower, "àÉ"));
  EXPECT_FALSE(strictly(lower, "123 !"));
  EXPECT_FALSE(strictly(lower, "chapter Ⅳ"));
  EXPECT_FALSE(strictly(lower, "\n"));
  EXPECT_TRUE(only_loosely(lower, "all of it\n- Bob"));
}

}  // namespace
}  // namespace orthant
