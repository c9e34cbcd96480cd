#include <gtest/gtest.h>

#include "tests/models/tasks/ifeval/instruction_case.h"

namespace orthant {
namespace {

using models::Instruction;
using testing::strictly;

Instruction sentences(int64_t count, const char* relation) {
  return {"length_constraints:number_sentences", {{"num_sentences", count}, {"relation", relation}}};
}

TEST(IfevalLength, SentencesAreCounted) {
  const std::string three = "Is it late? Yes! We go.";
  EXPECT_TRUE(strictly(sentences(3, "at least"), three));
  EXPECT_FALSE(strictly(sentences(4, "at least"), three));
  EXPECT_TRUE(strictly(sentences(4, "less than"), three));
  EXPECT_FALSE(strictly(sentences(3, "less than"), three));
  EXPECT_FALSE(strictly(sentences(1, "at least"), ""));
  EXPECT_TRUE(strictly(sentences(1, "at least"), "no end"));
}

TEST(IfevalLength, WordsAreRunsOfLettersNumbersAndUnderscores) {
  const auto words = [](int64_t count, const char* relation) {
    return Instruction{"length_constraints:number_words", {{"num_words", count}, {"relation", relation}}};
  };
  const std::string four = "Don't — a_b 3.";  // Don, t, a_b, 3
  EXPECT_TRUE(strictly(words(4, "at least"), four));
  EXPECT_FALSE(strictly(words(5, "at least"), four));
  EXPECT_TRUE(strictly(words(5, "less than"), four));
  EXPECT_FALSE(strictly(words(4, "less than"), four));
  EXPECT_TRUE(strictly(words(2, "at least"), "Ünïcode слова"));
  EXPECT_FALSE(strictly(words(3, "at least"), "Ünïcode слова"));
  EXPECT_TRUE(strictly(words(3, "at least"), "cafe\xCC\x81s x")) << "a combining mark splits a word";
  EXPECT_TRUE(strictly(words(1, "less than"), "...!"));
}

TEST(IfevalLength, ParagraphsAreParted) {
  const auto paragraphs = [](int64_t count) {
    return Instruction{"length_constraints:number_paragraphs", {{"num_paragraphs", count}}};
  };
  EXPECT_TRUE(strictly(paragraphs(2), "one\n***\ntwo"));
  EXPECT_FALSE(strictly(paragraphs(3), "one\n***\ntwo"));
  EXPECT_FALSE(strictly(paragraphs(1), "one\n***\ntwo"));
  EXPECT_TRUE(strictly(paragraphs(1), "one\n\ntwo"));
  EXPECT_TRUE(strictly(paragraphs(2), "***\none\n***\ntwo\n***\n")) << "blank ends are no paragraphs";
  EXPECT_FALSE(strictly(paragraphs(2), "one\n***\n\n***\ntwo")) << "a blank one inside fails";
  EXPECT_FALSE(strictly(paragraphs(3), "one\n***\n\n***\ntwo"));
  EXPECT_FALSE(strictly(paragraphs(1), "\n"));
}

TEST(IfevalLength, TheNthParagraphBeginsWithAWord) {
  const auto nth = [](int64_t n, int64_t of, const char* word) {
    return Instruction{"length_constraints:nth_paragraph_first_word",
                       {{"num_paragraphs", of}, {"nth_paragraph", n}, {"first_word", word}}};
  };
  const std::string text = "First one.\n\n  \"'Second', he said.\n\nÉté, third.";
  EXPECT_TRUE(strictly(nth(1, 3, "FIRST"), text));
  EXPECT_FALSE(strictly(nth(2, 3, "second"), text))
      << "the quote before the apostrophe ends the word at once";
  EXPECT_TRUE(strictly(nth(2, 3, "second"), "a\n\n'\"Second', he said.\n\nb"));
  EXPECT_TRUE(strictly(nth(3, 3, "été"), text));
  EXPECT_FALSE(strictly(nth(1, 2, "first"), text));
  EXPECT_FALSE(strictly(nth(1, 4, "first"), text));
  EXPECT_FALSE(strictly(nth(3, 3, "second"), text));
  EXPECT_FALSE(strictly(nth(1, 1, "first"), "\n\nfirst")) << "it is the first of all, the blank one too";
  EXPECT_TRUE(strictly(nth(1, 1, "first"), "first\n\n \n"));
}

}  // namespace
}  // namespace orthant
