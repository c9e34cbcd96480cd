#include "models/text/same_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "runtime/core/error.h"
#include "tests/support/letter_tokenizer.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using models::TokenRows;
using ::testing::HasSubstr;

// Reads a capital D as the letter that it was made with.
class FoldingTokenizer : public testing::LetterTokenizer {
 public:
  explicit FoldingTokenizer(char letter) : letter_(letter) {}
  [[nodiscard]] std::vector<int32_t> encode(std::string_view text) const override {
    std::string folded;
    for (const char c : text) folded += c == 'D' ? letter_ : c;
    return LetterTokenizer::encode(folded);
  }

 private:
  char letter_;
};

class SameTokens : public ::testing::Test {
 protected:
  TokenRows rows(const std::string& text, const models::Tokenizer& tokenizer) {
    std::ofstream(dir_.file("text.jsonl")) << text;
    return TokenRows({.path = dir_.file("text.jsonl")}, {.context = 3}, &tokenizer);
  }
  // What is refused of one text read by both.
  std::string refusal(const std::string& text, const models::Tokenizer& a, const models::Tokenizer& b) {
    const TokenRows of_a = rows(text, a), of_b = rows(text, b);
    try {
      models::check_same_tokens({&of_a, &a}, {&of_b, &b});
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      return error.what();
    }
    return "";
  }
  testing::TempDir dir_;
  const FoldingTokenizer e_{'e'}, f_{'f'}, none_{'-'};
};

TEST_F(SameTokens, PassWhereAllAreEqual) {
  EXPECT_EQ(refusal("{\"text\":\"abcdef\"}\n{\"text\":\"\"}\n{\"text\":\"ab\"}\n", e_, f_), "");
}

TEST_F(SameTokens, NameTheFirstPositionThatDiffers) {
  // Rows abc, deD, h | D: the first D stands at position 2 of row 1.
  const std::string found = refusal("{\"text\":\"abcdeDh\"}\n{\"text\":\"D\"}\n", e_, f_);
  EXPECT_THAT(found, HasSubstr("position 2 of row 1 (document 0)"));
  EXPECT_THAT(found, HasSubstr("token 7 'e' and token 8 'f'"));
}

TEST_F(SameTokens, NameWhatOneOfThemHasMore) {
  const std::string found = refusal("{\"text\":\"ab\"}\n{\"text\":\"cD\"}\n", e_, none_);
  EXPECT_THAT(found, HasSubstr("position 1 of row 1 (document 1)"));
  EXPECT_THAT(found, HasSubstr("token 7 'e' and nothing"));
}

TEST_F(SameTokens, NameWhereRowsOfEqualTokensAreCutElsewhere) {
  const TokenRows one = rows("{\"text\":\"abcab\"}\n", e_);
  const TokenRows two = rows("{\"text\":\"ab\"}\n{\"text\":\"cab\"}\n", e_);
  try {
    models::check_same_tokens({&one, &e_}, {&two, &e_});
    FAIL() << "rows abc, ab and ab, cab are not the same";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("position 2 of row 0"));
  }
}

TEST_F(SameTokens, RowBlocksHoldWholeRows) {
  const TokenRows text = rows("{\"text\":\"abcdefab\"}\n{\"text\":\"a\"}\n{\"text\":\"bcd\"}\n", e_);
  // Rows of 3, 3, 2, 1 and 3 tokens.
  EXPECT_EQ(models::row_blocks(text, 1), (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(models::row_blocks(text, 4), (std::vector<int64_t>{0, 2, 5}));
  EXPECT_EQ(models::row_blocks(text, 8), (std::vector<int64_t>{0, 3, 5}));
  EXPECT_EQ(models::row_blocks(text, 100), (std::vector<int64_t>{0, 5}));
}

}  // namespace
}  // namespace orthant
