#include "models/tasks/ifeval/check_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <set>

namespace orthant {
namespace {

using ::testing::HasSubstr;

std::string fault(const char* id, const char* arguments) {
  const models::Instruction instruction{id, boost::json::parse(arguments).as_object()};
  return models::argument_fault(*models::find_check(id), instruction);
}

TEST(IfevalCheckTable, HasEveryInstructionButTheLanguage) {
  std::set<std::string_view> ids;
  for (const models::Check& check : models::checks()) ids.insert(check.id);
  EXPECT_EQ(ids.size(), 24u);
  EXPECT_EQ(models::checks().size(), 24u);
  EXPECT_EQ(models::find_check(models::kUncheckedInstruction), nullptr);
  EXPECT_EQ(models::find_check("keywords"), nullptr);
  EXPECT_EQ(models::find_check("startend:quotation")->id, "startend:quotation");
}

TEST(IfevalCheckTable, SuggestsTheNearestName) {
  EXPECT_EQ(models::nearest_instruction("keywords:existance"), "keywords:existence");
  EXPECT_EQ(models::nearest_instruction("punctuation:no_commas"), "punctuation:no_comma");
  EXPECT_EQ(models::nearest_instruction("xyz"), "");
}

TEST(IfevalCheckTable, SoundArgumentsHaveNoFault) {
  EXPECT_EQ(fault("punctuation:no_comma", "{}"), "");
  EXPECT_EQ(fault("keywords:existence", R"({"keywords": ["a", "b+"]})"), "");
  EXPECT_EQ(fault("keywords:letter_frequency",
                  R"({"letter": "é", "let_frequency": 3, "let_relation": "at least"})"),
            "");
  EXPECT_EQ(fault("length_constraints:number_paragraphs", R"({"num_paragraphs": 3.0})"), "");
  EXPECT_EQ(fault("length_constraints:nth_paragraph_first_word",
                  R"({"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "a"})"),
            "");
}

TEST(IfevalCheckTable, FaultsNameTheArgument) {
  EXPECT_THAT(fault("keywords:existence", "{}"), HasSubstr("\"keywords\" is missing"));
  EXPECT_THAT(fault("keywords:existence", R"({"keywords": "cat"})"), HasSubstr("no list"));
  EXPECT_THAT(fault("keywords:existence", R"({"keywords": ["a", " "]})"), HasSubstr("is no text"));
  EXPECT_THAT(fault("keywords:existence", R"({"keywords": ["a("]})"), HasSubstr("regular expression"));
  EXPECT_THAT(fault("keywords:forbidden_words", R"({"forbidden_words": [1]})"), HasSubstr("is no text"));
  EXPECT_THAT(fault("keywords:existence", R"({"keyword": ["a"]})"), HasSubstr("perhaps \"keywords\""));
  EXPECT_THAT(fault("punctuation:no_comma", R"({"x": 1})"), HasSubstr("no argument \"x\""));
  EXPECT_THAT(fault("length_constraints:number_words", R"({"num_words": 9, "relation": "at most"})"),
              HasSubstr("neither \"less than\" nor \"at least\""));
  EXPECT_THAT(fault("startend:end_checker", R"({"end_phrase": 3})"), HasSubstr("is no text"));
}

TEST(IfevalCheckTable, CountsArePositiveAndWhole) {
  for (const char* count : {"0", "-1", "2.5", "\"3\"", "1e30", "true"}) {
    const std::string arguments = std::string(R"({"num_bullets": )") + count + "}";
    EXPECT_THAT(fault("detectable_format:number_bullet_lists", arguments.c_str()),
                HasSubstr("no positive whole number"))
        << count;
  }
}

TEST(IfevalCheckTable, OneCharacterIsOneWhateverItsBytes) {
  for (const char* letter : {"ab", "éé", " "}) {
    const std::string arguments =
        std::string(R"({"letter": ")") + letter + R"(", "let_frequency": 1, "let_relation": "at least"})";
    EXPECT_THAT(fault("keywords:letter_frequency", arguments.c_str()), HasSubstr("no single character"))
        << letter;
  }
}

TEST(IfevalCheckTable, TheParagraphIsOneOfThem) {
  EXPECT_THAT(fault("length_constraints:nth_paragraph_first_word",
                    R"({"num_paragraphs": 2, "nth_paragraph": 3, "first_word": "a"})"),
              HasSubstr("greater than"));
}

}  // namespace
}  // namespace orthant
