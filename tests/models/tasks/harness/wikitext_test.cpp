#include "models/tasks/harness/wikitext.h"

#include <gtest/gtest.h>

#include "models/text/python_text.h"
#include "models/text/text_file.h"
#include "runtime/core/error.h"
#include "tests/models/tasks/harness/sha256_of.h"
#include "tests/support/code_of.h"
#include "tests/support/shared_files.h"

namespace orthant::models {
namespace {

using Ids = std::vector<int32_t>;

TEST(Wikitext, Detokenizes) {
  const std::string first =
      " = Title = \n The dog 's 1 @,@ 000 @.@ 5 well @-@ known ( old ) toys , \" big \" ones . \n";
  EXPECT_EQ(wikitext_detokenize(first),
            " = Title =\nThe dog's 1,000.5 well-known (old) toys, \"big\" ones.\n");
  EXPECT_EQ(white_space_pieces(first), 26);
  EXPECT_EQ(first.size(), 86u);
  const std::string second = " = = Part = = \n N cats : 20 ° C ; ok ! \n";
  EXPECT_EQ(wikitext_detokenize(second), " == Part ==\nN cats: 20°C; ok!\n");
  EXPECT_EQ(white_space_pieces(second), 16);
  EXPECT_EQ(second.size(), 41u);
}

// As Python's re makes them of the harness's rules.
TEST(Wikitext, DetokenizesNestedAndOpenDelimiters) {
  EXPECT_EQ(wikitext_detokenize("a ( b ( c ) d ) e"), "a (b ( c) d ) e");
  EXPECT_EQ(wikitext_detokenize("''  'x' ' y ' z '"), "''  'x' 'y' z '");
  EXPECT_EQ(wikitext_detokenize("\" a \" b \" c"), "\"a\" b \" c");
  EXPECT_EQ(wikitext_detokenize("( \n\u00a0x\u2003 )"), "(x)");
  EXPECT_EQ(wikitext_detokenize("( )"), "()");
  EXPECT_EQ(wikitext_detokenize("[ ] { z } [ q"), "[] {z} [ q");
  EXPECT_EQ(wikitext_detokenize("' '"), "''");
  EXPECT_EQ(wikitext_detokenize("s ' s ' x ' y"), "s's' x ' y");
  EXPECT_EQ(wikitext_detokenize("= = = = = x"), "===== x");
  EXPECT_EQ(wikitext_detokenize(" N N N "), " 1 N 1 ");
  EXPECT_EQ(wikitext_detokenize(""), "");
}

TEST(Wikitext, PagesBeginAtHeadingsOfLevelOne) {
  const auto pages = wikitext_pages(" \n = A = \n x \n = = B = = \n y \n = C = \n z");
  EXPECT_EQ(pages, (std::vector<std::string>{" = A = \n x \n = = B = = \n y ", " = C = \n z"}));
  EXPECT_EQ(wikitext_pages("x\ny"), (std::vector<std::string>{"x\ny"}));
  EXPECT_TRUE(wikitext_pages(" \n\n").empty());
  EXPECT_TRUE(wikitext_pages("").empty());
}

// The hashes are of the pages as Python makes them by the rules of the document-level data set, and of the
// harness's detokenizer over them.
TEST(Wikitext, TheTestSetHas62Pages) {
  ORTHANT_NEEDS_SHARED("data/wikitext-2/test.txt");
  int64_t replaced = 0, words = 0, bytes = 0;
  const auto pages = wikitext_pages(
      read_text_file((testing::shared_folder() / "data/wikitext-2/test.txt").string(), replaced));
  ASSERT_EQ(pages.size(), 62u);
  std::vector<std::string> texts;
  for (const std::string& page : pages) {
    words += white_space_pieces(page);
    bytes += static_cast<int64_t>(page.size());
    texts.push_back(wikitext_detokenize(page));
  }
  EXPECT_EQ(words, 241335);
  EXPECT_EQ(bytes, 1256386);
  EXPECT_EQ(testing::sha256_of(pages), "ce8a8e4491cd620bdf3457a41b14d483a16f7380e8d2dce8e53228666b4a79ba");
  EXPECT_EQ(testing::sha256_of(texts), "d3a9f56365df82b54e98dc161f503b193736c52d759e02e74cd872f3d0ed0eb1");
}

Ids counting(int32_t count) {
  Ids tokens;
  for (int32_t i = 0; i < count; ++i) tokens.push_back(i);
  return tokens;
}

TEST(RollingWindows, KeepATokenOfContext) {
  const auto windows = rolling_windows(counting(10), 99, 4);
  ASSERT_EQ(windows.size(), 3u);
  EXPECT_EQ(windows[0].input, (Ids{99, 0, 1, 2}));
  EXPECT_EQ(windows[0].scored, 4);
  EXPECT_EQ(windows[1].input, (Ids{3, 4, 5, 6}));
  EXPECT_EQ(windows[1].scored, 4);
  EXPECT_EQ(windows[2].input, (Ids{5, 6, 7, 8}));
  EXPECT_EQ(windows[2].scored, 2);
}

TEST(RollingWindows, ScoreEveryTokenOnceAfterTheOneBefore) {
  for (int32_t count = 0; count <= 13; ++count) {
    for (int64_t length = 1; length <= 6; ++length) {
      int64_t scored = 0;
      for (const RollingWindow& window : rolling_windows(counting(count), -1, length)) {
        ASSERT_LE(static_cast<int64_t>(window.input.size()), length);
        ASSERT_LE(window.scored, static_cast<int64_t>(window.input.size()));
        scored += window.scored;
        EXPECT_EQ(window.input.back(), scored - 2);  // the last token scored is the one after it
        for (size_t i = 1; i < window.input.size(); ++i) EXPECT_EQ(window.input[i], window.input[i - 1] + 1);
      }
      EXPECT_EQ(scored, count);
    }
  }
}

TEST(RollingWindows, RefuseNoLength) {
  EXPECT_EQ(testing::code_of([] { (void)rolling_windows(counting(2), 0, 0); }), ExitCode::kInternal);
}

}  // namespace
}  // namespace orthant::models
