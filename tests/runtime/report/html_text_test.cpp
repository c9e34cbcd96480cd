#include "runtime/report/html_text.h"

#include <gtest/gtest.h>

#include "tests/support/xml_check.h"

namespace orthant {
namespace {

TEST(HtmlText, EscapesWhatMarkupMeans) {
  EXPECT_EQ(escape("a<b & \"c\" > 'd'"), "a&lt;b &amp; &quot;c&quot; &gt; &#39;d&#39;");
  EXPECT_EQ(escape("naïve 日本 🙂"), "naïve 日本 🙂");
}

TEST(HtmlText, ReplacesWhatIsNoText) {
  EXPECT_EQ(escape(std::string_view("a\0b\x1b", 4)), "a\uFFFDb\uFFFD");
  EXPECT_EQ(escape("\xE6\x97"), "\uFFFD\uFFFD");            // cut inside a character
  EXPECT_EQ(escape("\xC0\xAFx"), "\uFFFD\uFFFDx");          // overlong
  EXPECT_EQ(escape("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // surrogate
  EXPECT_EQ(escape("\xF5\x80\x80\x80").find("\xF5"), std::string::npos);
}

TEST(HtmlText, EveryByteGivesWellFormedText) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = {'x', static_cast<char>(byte), 'y'};
    EXPECT_EQ(testing::xml_problem("<p a=\"" + escape(text) + "\">" + escape(text) + "</p>"), "") << byte;
  }
}

TEST(HtmlText, ShortensInTheMiddleByCharacters) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcdefghij", 5), "ab…ij");
  EXPECT_EQ(shortened("日本語日本語", 3), "日…語");
  EXPECT_EQ(character_count("日本a"), 3u);
}

}  // namespace
}  // namespace orthant
