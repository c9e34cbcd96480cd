#include "models/tasks/ifeval/text_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orthant {
namespace {

using models::is_lower;
using models::is_upper;
using models::lower;
using models::Pattern;
using models::python_strip;
using models::split;
using models::strip;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(TextSearch, StripTakesUnicodeWhiteSpace) {
  EXPECT_EQ(python_strip(" \t\r\n\x1C\x1F\xC2\x85\xE3\x80\x80"
                         "a b\xE2\x80\xA8"),
            "a b");
  EXPECT_EQ(python_strip("\xE2\x80\x8B"
                         "a"),
            "\xE2\x80\x8B"
            "a")
      << "a zero-width space is none";
  EXPECT_EQ(python_strip(" \n"), "");
  EXPECT_EQ(python_strip(""), "");
  EXPECT_EQ(strip("\"\"a\"b\"", '"'), "a\"b");
  EXPECT_EQ(strip("***", '*'), "");
  EXPECT_TRUE(models::is_blank("\xC2\xA0"));
  EXPECT_FALSE(models::is_blank("."));
}

TEST(TextSearch, LowerKnowsTheScriptsOfEurope) {
  EXPECT_EQ(lower("ABZ az 19"), "abz az 19");
  EXPECT_EQ(lower("ÀÖ×ØÞß ĀŁŊŹŸŽ ȘȚ ǄǅǊ"), "àö×øþß āłŋźÿž șț ǆǆǌ");
  EXPECT_EQ(lower("ẞ Ạ Ỹ"), "ß ạ ỹ");
  EXPECT_EQ(lower("ΆΈΌΏ ΑΣΩΫ ἈὙὛΏ"), "άέόώ ασωϋ ἀὑὓώ");
  EXPECT_EQ(lower("ЀЏ АЯ ҐӀӁ Ԯ"), "ѐџ ая ґӏӂ ԯ");
  EXPECT_EQ(lower("ԱՖ ＡＺ Ⅳ Ⓐ"), "աֆ ａｚ ⅳ ⓐ");
  EXPECT_EQ(lower("İ"), "i\xCC\x87");
  EXPECT_EQ(lower("\xE2\x84\xAA \xE2\x84\xA6 \xE2\x84\xAB"), "k ω å");
  EXPECT_EQ(lower("日本 äö"), "日本 äö");
  EXPECT_EQ(lower(""), "");
}

TEST(TextSearch, CaseNeedsALetterThatHasOne) {
  EXPECT_TRUE(is_upper("A1 É ЯΩ ⅣⒶ"));
  EXPECT_FALSE(is_upper("Aª")) << "the ordinal sign is small";
  EXPECT_FALSE(is_upper("12 日本"));
  EXPECT_FALSE(is_upper(""));
  EXPECT_FALSE(is_upper("Aǅ"));
  EXPECT_TRUE(is_lower("a1 éяωⅳⓐ ʰ"));
  EXPECT_FALSE(is_lower("aǅ"));
  EXPECT_FALSE(is_lower("aⅣ"));
  EXPECT_FALSE(is_lower("12"));
  EXPECT_TRUE(is_upper("ႠႡ")) << "cased letters of other scripts";
}

TEST(TextSearch, SplitKeepsEmptyParts) {
  EXPECT_THAT(split("--", "a--b----c--"), ElementsAre("a", "b", "", "c", ""));
  EXPECT_THAT(split("--", ""), ElementsAre(""));
  EXPECT_THAT(split("****", "*****"), ElementsAre("", "*"));
  EXPECT_THAT(split(Pattern(R"(\s*,\s*)"), "a , b,,c"), ElementsAre("a", "b", "", "c"));
  EXPECT_THAT(models::find_all(Pattern("[0-9]+"), "a12b3"), ElementsAre("12", "3"));
  EXPECT_THAT(models::find_all(Pattern("[0-9]*"), "ab"), IsEmpty());
}

}  // namespace
}  // namespace orthant
