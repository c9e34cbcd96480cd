#include "models/tasks/ifeval/sentences.h"

#include <gtest/gtest.h>

#include "models/tasks/ifeval/sentence_words.h"

namespace orthant {
namespace {

using models::count_sentences;

struct Counted {
  const char* text;
  int64_t sentences;
};

class IfevalSentences : public ::testing::TestWithParam<Counted> {};

TEST_P(IfevalSentences, AreCounted) {
  EXPECT_EQ(count_sentences(GetParam().text), GetParam().sentences);
}

INSTANTIATE_TEST_SUITE_P(Ends, IfevalSentences,
                         ::testing::Values(Counted{"", 0}, Counted{" \n ", 0}, Counted{"no mark", 1},
                                           Counted{"One. Two! Three?", 3}, Counted{"One.\n\nTwo.", 2},
                                           Counted{"one. two. three", 3}, Counted{"Really?! Yes.", 2},
                                           Counted{"What?!! No", 2}, Counted{"one.two.three", 1},
                                           Counted{"A line\nand another line", 1},
                                           Counted{"Ça dit. Élan! Да.", 3}, Counted{"End.  \n", 1},
                                           Counted{".", 1}, Counted{"?", 1}));

INSTANTIATE_TEST_SUITE_P(Closers, IfevalSentences,
                         ::testing::Values(Counted{R"(He said "Go." She went.)", 2},
                                           Counted{R"("Go!" "Stay!")", 2},
                                           Counted{"(He left.) She stayed.", 2}, Counted{"(Really?) Yes.", 2},
                                           Counted{"He left (at last.)", 1},
                                           Counted{"**Bold.** Then more.", 2}));

INSTANTIATE_TEST_SUITE_P(
    Abbreviations, IfevalSentences,
    ::testing::Values(Counted{"Dr. Smith met Mr. Lee.", 1},
                      Counted{"It is in the U.S. and in the U.K. too.", 1},
                      Counted{"At 5 p.m. The shop closes.", 2}, Counted{"At 5 p.m. we close.", 1},
                      Counted{"Foo Inc. sued Bar Corp. in Jan. 2020.", 1}, Counted{"A Ph.D. in art.", 1},
                      Counted{"The non-U.S. share rose.", 1}, Counted{"Apples, pears, etc. and so on.", 2},
                      Counted{"Fruit, e.g. apples.", 2}, Counted{"That is, i.e. this.", 2}));

INSTANTIATE_TEST_SUITE_P(
    InitialsNumbersAndEllipses, IfevalSentences,
    ::testing::Values(Counted{"J. K. Rowling and A. Lincoln.", 1}, Counted{"So do I. Then we go.", 2},
                      Counted{"It costs 3.50 or 1,200.", 1}, Counted{"There are 12. They are red.", 2},
                      Counted{"See no. 5. and go.", 2}, Counted{"1. One\n2. Two", 3},
                      Counted{"Well... maybe.", 1}, Counted{"Well... The end.", 2},
                      Counted{"Wait . . . no.", 4}, Counted{"Plan B. Now it works.", 2}));

TEST(IfevalSentenceWords, AreInLowerCase) {
  EXPECT_TRUE(models::is_abbreviation("dr"));
  EXPECT_FALSE(models::is_abbreviation("Dr"));
  EXPECT_FALSE(models::is_abbreviation("dr."));
  EXPECT_FALSE(models::is_abbreviation(""));
  EXPECT_TRUE(models::opens_sentences("the"));
  EXPECT_FALSE(models::opens_sentences("smith"));
  EXPECT_TRUE(models::is_common_word("the"));
  EXPECT_TRUE(models::is_common_word("question"));
  EXPECT_FALSE(models::is_common_word("lincoln"));
}

}  // namespace
}  // namespace orthant
