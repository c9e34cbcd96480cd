#include <gtest/gtest.h>

#include "tests/models/tasks/ifeval/instruction_case.h"

namespace orthant {
namespace {

using testing::strictly;

TEST(IfevalKeywords, AllMustOccurWhateverTheCaseAndInsideWordsToo) {
  const models::Instruction both{"keywords:existence", {{"keywords", {"cat", "Dog"}}}};
  EXPECT_TRUE(strictly(both, "The CAT saw a dog."));
  EXPECT_TRUE(strictly(both, "concatenated hotdogs"));
  EXPECT_FALSE(strictly(both, "The cat sat."));
  EXPECT_FALSE(strictly(both, "c a t dog"));
  EXPECT_FALSE(strictly(both, ""));
  EXPECT_FALSE(strictly(both, " \n\t "));
}

TEST(IfevalKeywords, AreRegularExpressionsOverUnicode) {
  EXPECT_TRUE(strictly({"keywords:existence", {{"keywords", {"colou?r"}}}}, "a COLOR"));
  EXPECT_TRUE(strictly({"keywords:existence", {{"keywords", {"ÉCOLE"}}}}, "une école"));
  EXPECT_TRUE(strictly({"keywords:existence", {{"keywords", {"привет"}}}}, "ПРИВЕТ"));
  EXPECT_FALSE(strictly({"keywords:existence", {{"keywords", {"ecole"}}}}, "une école"));
}

TEST(IfevalKeywords, FrequencyCountsOccurrences) {
  const auto rain = [](int64_t count, const char* relation) {
    return models::Instruction{"keywords:frequency",
                               {{"keyword", " rain "}, {"frequency", count}, {"relation", relation}}};
  };
  const std::string twice = "Rain, and again RAINY days";
  EXPECT_TRUE(strictly(rain(2, "at least"), twice));
  EXPECT_FALSE(strictly(rain(3, "at least"), twice));
  EXPECT_TRUE(strictly(rain(3, "less than"), twice));
  EXPECT_FALSE(strictly(rain(2, "less than"), twice));
  EXPECT_TRUE(strictly(rain(1, "less than"), "sun"));
  EXPECT_FALSE(strictly(rain(1, "less than"), ""));  // blank responses follow nothing
}

TEST(IfevalKeywords, ForbiddenWordsAreWholeWords) {
  const models::Instruction none{"keywords:forbidden_words", {{"forbidden_words", {"can", "ride"}}}};
  EXPECT_TRUE(strictly(none, "A candle for the bride, a_can_of paint."));
  EXPECT_FALSE(strictly(none, "Yes, I CAN."));
  EXPECT_FALSE(strictly(none, "ride"));
  EXPECT_FALSE(strictly(none, "can't"));
  EXPECT_TRUE(strictly(none, "écan rideé"));
  EXPECT_FALSE(strictly(none, "  "));
}

TEST(IfevalKeywords, ACombiningMarkEndsAWord) {
  const models::Instruction none{"keywords:forbidden_words", {{"forbidden_words", {"cafe"}}}};
  EXPECT_FALSE(strictly(none, "cafe\xCC\x81"));
  EXPECT_TRUE(strictly(none, "café"));
}

TEST(IfevalKeywords, LettersCountInBothCases) {
  const auto letter = [](const char* of, int64_t count, const char* relation) {
    return models::Instruction{"keywords:letter_frequency",
                               {{"letter", of}, {"let_frequency", count}, {"let_relation", relation}}};
  };
  EXPECT_TRUE(strictly(letter("o", 3, "at least"), "Oh no, Bob? k"));
  EXPECT_FALSE(strictly(letter("O", 4, "at least"), "Oh no, Bob? k"));
  EXPECT_TRUE(strictly(letter("o", 4, "less than"), "Oh no, Bob? k"));
  EXPECT_FALSE(strictly(letter("o", 3, "less than"), "Oh no, Bob? k"));
  EXPECT_TRUE(strictly(letter("e", 1, "less than"), "é and è, no plain on")) << "accents make other letters";
  EXPECT_TRUE(strictly(letter("k", 1, "at least"), "300 \xE2\x84\xAA")) << "the kelvin sign";
}

TEST(IfevalKeywords, OtherCharactersCountAsTheyAre) {
  const models::Instruction tags{"keywords:letter_frequency",
                                 {{"letter", "#"}, {"let_frequency", 2}, {"let_relation", "at least"}}};
  EXPECT_TRUE(strictly(tags, "#one #two"));
  EXPECT_FALSE(strictly(tags, "#one two"));
}

}  // namespace
}  // namespace orthant
