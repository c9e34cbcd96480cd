#include <gtest/gtest.h>

#include "tests/models/tasks/ifeval/instruction_case.h"

namespace orthant {
namespace {

using models::Instruction;
using testing::only_loosely;
using testing::strictly;

TEST(IfevalFormat, BulletsAreExactlySoMany) {
  const auto bullets = [](int64_t count) {
    return Instruction{"detectable_format:number_bullet_lists", {{"num_bullets", count}}};
  };
  EXPECT_TRUE(strictly(bullets(3), "List:\n* one\n  * two\n- three"));
  EXPECT_FALSE(strictly(bullets(2), "List:\n* one\n  * two\n- three"));
  EXPECT_FALSE(strictly(bullets(4), "List:\n* one\n  * two\n- three"));
  EXPECT_FALSE(strictly(bullets(1), "**bold** is no bullet"));
  EXPECT_FALSE(strictly(bullets(1), "• other marks are none\n1. nor numbers"));
  EXPECT_TRUE(strictly(bullets(1), "--- a rule is one"));
  EXPECT_FALSE(strictly(bullets(1), "a * b - c"));
  EXPECT_FALSE(strictly(bullets(1), ""));
}

TEST(IfevalFormat, ConstrainedResponsesAreInTheText) {
  const Instruction constrained{"detectable_format:constrained_response", {}};
  EXPECT_TRUE(strictly(constrained, "My answer is yes."));
  EXPECT_TRUE(strictly(constrained, "Well. My answer is maybe. So it is."));
  EXPECT_TRUE(strictly(constrained, "\nMy answer is no.\n"));
  EXPECT_FALSE(strictly(constrained, "My answer is no"));
  EXPECT_FALSE(strictly(constrained, "my answer is yes."));
  EXPECT_FALSE(strictly(constrained, " "));
  EXPECT_TRUE(only_loosely(constrained, "My answer is **yes**."));
}

TEST(IfevalFormat, HighlightsAreBetweenAsterisks) {
  const auto highlights = [](int64_t count) {
    return Instruction{"detectable_format:number_highlighted_sections", {{"num_highlights", count}}};
  };
  EXPECT_TRUE(strictly(highlights(2), "*one* and *two words*"));
  EXPECT_FALSE(strictly(highlights(3), "*one* and *two words*"));
  EXPECT_TRUE(strictly(highlights(1), "**one**"));
  EXPECT_FALSE(strictly(highlights(2), "**one**"));
  EXPECT_FALSE(strictly(highlights(1), "** **, * *, ****"));
  EXPECT_FALSE(strictly(highlights(1), "*over\nlines*"));
  EXPECT_FALSE(strictly(highlights(1), ""));
}

TEST(IfevalFormat, SectionsHaveANumber) {
  const auto sections = [](int64_t count) {
    return Instruction{"detectable_format:multiple_sections",
                       {{"section_spliter", " SECTION "}, {"num_sections", count}}};
  };
  EXPECT_TRUE(strictly(sections(2), "SECTION 1\nfoo\nSECTION2 bar"));
  EXPECT_FALSE(strictly(sections(3), "SECTION 1\nfoo\nSECTION2 bar"));
  EXPECT_TRUE(strictly(sections(1), "SECTION 1\nfoo\nSECTION 2")) << "more are allowed";
  EXPECT_FALSE(strictly(sections(1), "Section 1"));
  EXPECT_FALSE(strictly(sections(1), "SECTION One, SECTION  1"));
  EXPECT_FALSE(strictly(sections(1), "\t"));
}

TEST(IfevalFormat, JsonIsTheWholeResponse) {
  const Instruction json{"detectable_format:json_format", {}};
  for (const char* sound : {R"({"a": [1, 2.5e3, null, true, "é"]})", "[]", "12", "\"text\"", " \n{}\n ",
                            "```json\n{\"a\": 1}\n```", "```JSON\n[1]\n```", "```\n[1]```", "```Json{}```",
                            R"({"a": 1, "a": 2})"}) {
    EXPECT_TRUE(strictly(json, sound)) << sound;
  }
  for (const char* broken : {"{a: 1}", "{'a': 1}", "{\"a\": 1,}", "Here: {}", "{} {}", "``` json\n{}\n```",
                             "01", "[\"a\tb\"]", "", "```\n```", "NaN", "// no\n{}"}) {
    EXPECT_FALSE(strictly(json, broken)) << broken;
  }
  EXPECT_TRUE(only_loosely(json, "Here it is:\n{\"a\": 1}"));
  EXPECT_TRUE(strictly(json, std::string(500, '[') + std::string(500, ']')));
}

TEST(IfevalFormat, ATitleIsInDoubleAngularBrackets) {
  const Instruction title{"detectable_format:title", {}};
  EXPECT_TRUE(strictly(title, "<<The Sea>>\nOnce."));
  EXPECT_TRUE(strictly(title, "Text, then <<<ž>>>"));
  EXPECT_FALSE(strictly(title, "<The Sea>"));
  EXPECT_FALSE(strictly(title, "<<  >>"));
  EXPECT_FALSE(strictly(title, "<<>>"));
  EXPECT_FALSE(strictly(title, "<<The\nSea>>"));
  EXPECT_FALSE(strictly(title, ""));
}

}  // namespace
}  // namespace orthant
