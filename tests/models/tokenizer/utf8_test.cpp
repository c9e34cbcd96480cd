#include "models/tokenizer/utf8.h"

#include <gtest/gtest.h>

#include <string>

#include "models/tokenizer/tokenizer.h"

namespace orthant {
namespace {

const std::string kMark = "\xEF\xBF\xBD";

std::string replaced(const std::string& bytes, int64_t expected_count) {
  constexpr int64_t kBefore = 100;
  int64_t count = kBefore;
  std::string text = models::replace_invalid_utf8(bytes, count);
  EXPECT_EQ(kBefore + expected_count, count);
  return text;
}

TEST(ReplaceInvalidUtf8, WellFormedTextStays) {
  const std::string text =
      "a\x7F\xC2\x80 \xDF\xBF \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xF0\x90\x80\x80 \xF4\x8F\xBF\xBF";
  EXPECT_EQ(text, replaced(text, 0));
  EXPECT_EQ("", replaced("", 0));
  EXPECT_EQ(std::string(1, '\0'), replaced(std::string(1, '\0'), 0));
}

// The examples of the Unicode Standard, section 3.9, tables 3-8 to 3-11.
TEST(ReplaceInvalidUtf8, MaximalSubpartsAreReplacedOnce) {
  EXPECT_EQ(kMark + kMark + kMark + kMark + kMark + kMark + kMark + kMark + "A",
            replaced("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82"
                     "A",
                     8));
  EXPECT_EQ(kMark + kMark + kMark + kMark + kMark + kMark + kMark + kMark + "A",
            replaced("\xED\xA0\x80\xED\xBF\xBF\xED\xAF"
                     "A",
                     8));
  EXPECT_EQ(kMark + kMark + kMark + kMark + kMark + "A" + kMark + kMark + "B", replaced("\xF4\x91\x92\x93\xFF"
                                                                                        "A"
                                                                                        "\x80\xBF"
                                                                                        "B",
                                                                                        7));
  EXPECT_EQ(kMark + kMark + kMark + kMark + "A", replaced("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF"
                                                          "A",
                                                          4));
}

TEST(ReplaceInvalidUtf8, CutSequencesAtTheEnd) {
  EXPECT_EQ("long enough for a word" + kMark, replaced("long enough for a word\xF0\x9F\x98", 1));
  EXPECT_EQ("x" + kMark, replaced("x\xC3", 1));
}

TEST(Utf8, WrittenCharactersAreReadBack) {
  for (uint32_t codepoint = 0; codepoint < 0x110000; codepoint += codepoint < 0x3000 ? 1 : 97) {
    if (codepoint >= 0xD800 && codepoint < 0xE000) continue;
    std::string text;
    models::append_utf8(text, codepoint);
    const models::Utf8Step step = models::next_character(text);
    ASSERT_TRUE(step.well_formed);
    ASSERT_EQ(codepoint, step.codepoint);
    ASSERT_EQ(text.size(), step.bytes);
  }
}

}  // namespace
}  // namespace orthant
