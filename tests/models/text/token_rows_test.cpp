#include "models/text/token_rows.h"

#include <gtest/gtest.h>

#include <fstream>

#include "runtime/core/error.h"
#include "runtime/storage/npy.h"
#include "tests/support/code_of.h"
#include "tests/support/letter_tokenizer.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using models::RowOptions;
using models::TextSource;
using models::TextSplit;
using models::TokenRows;
using testing::code_of;
using testing::LetterTokenizer;

class TokenRowsTest : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(dir.file(name)).parent_path());
    std::ofstream(dir.file(name), std::ios::binary) << text;
    return dir.file(name);
  }
  // Rows as text, documents in brackets: "abc|d[1]".
  static std::string shown(const TokenRows& rows) {
    std::string text;
    for (int64_t row = 0; row < rows.rows(); ++row) {
      if (row > 0) text += '|';
      text += LetterTokenizer().decode(rows.row(row));
      text += '[' + std::to_string(rows.document_of(rows.first_token(row))) + ']';
    }
    return text;
  }
  std::string shown(const TextSource& source, const RowOptions& options,
                    const LetterTokenizer& tokenizer = LetterTokenizer()) {
    return shown(TokenRows(source, options, &tokenizer));
  }
  testing::TempDir dir;
};

TEST_F(TokenRowsTest, CutsDocumentsIntoRowsWithoutPacking) {
  write("in/b.txt", "abcdefgh");
  write("in/a.txt", "abc");
  write("in/c.txt", "");
  write("in/deep/d.jsonl", "{\"text\": \"ab\"}\n\n{\"text\": \"h\"}\n");
  write("in/ignored.bin", "aaaa");
  EXPECT_EQ(shown({.path = dir.file("in")}, {.context = 3}), "abc[0]|abc[1]|def[1]|gh[1]|ab[3]|h[4]");
}

TEST_F(TokenRowsTest, SplitsParagraphsAtBlankLines) {
  const auto path = write("p.txt", "\n\nab\ncd\n \t\r\nef\n\n\ngh");
  EXPECT_EQ(shown({.path = path, .split = TextSplit::kParagraph}, {.context = 9}), "abcd[0]|ef[1]|gh[2]");
  EXPECT_EQ(shown({.path = path}, {.context = 9}), "abcdefgh[0]");
}

TEST_F(TokenRowsTest, EveryRowBeginsWithTheBosThatIsAskedFor) {
  const auto path = write("p.txt", "abcde");
  EXPECT_EQ(shown({.path = path}, {.context = 3, .bos = true}), ".ab[0]|.cd[0]|.e[0]");
  EXPECT_EQ(shown({.path = path}, {.context = 3}, LetterTokenizer(true)), ".ab[0]|.cd[0]|.e[0]");
}

TEST_F(TokenRowsTest, PacksWithTheSeparator) {
  const auto path = write("p.txt", "ab\n\nc\n\n??\n\ndef");
  EXPECT_EQ(shown({.path = path, .split = TextSplit::kParagraph}, {.context = 4, .pack = true}),
            "ab.c[0]|.def[1]|.[3]");
}

TEST_F(TokenRowsTest, StopsAtTheTokensAskedFor) {
  const auto path = write("p.txt", "abcd\n\nefgh\n\nabc");
  const LetterTokenizer tokenizer;
  const TokenRows rows({.path = path, .split = TextSplit::kParagraph}, {.context = 3, .tokens = 7},
                       &tokenizer);
  EXPECT_EQ(shown(rows), "abc[0]|d[0]|efg[1]");
  EXPECT_EQ(rows.tokens(), 7);
  EXPECT_EQ(rows.counts().documents, 2);
  EXPECT_EQ(rows.longest_row(), 3);
}

TEST_F(TokenRowsTest, CountsEmptyDocumentsAndReplacesInvalidUtf8) {
  const auto path = write("p.jsonl",
                          "{\"text\": \"\"}\n{\"text\": \"a\xff"
                          "b\xc3\"}\n{\"text\": \"??\"}\n");
  const LetterTokenizer tokenizer;
  const TokenRows lines({.path = path}, {}, &tokenizer);
  EXPECT_EQ(lines.counts().invalid_utf8, 2);
  EXPECT_EQ(lines.counts().documents, 3);
  EXPECT_EQ(lines.counts().empty_documents, 2);
  EXPECT_EQ(shown(lines), "ab[1]");
  const auto raw = write("raw.txt",
                         "a\xff"
                         "b\xc3");
  const TokenRows rows({.path = raw}, {}, &tokenizer);
  EXPECT_EQ(rows.counts().invalid_utf8, 2);
  EXPECT_EQ(shown(rows), "ab[0]");
  const auto paragraphs = write("q.txt", "a\xff\n\nb\n\n\xc3 c");
  const TokenRows several({.path = paragraphs, .split = TextSplit::kParagraph}, {}, &tokenizer);
  EXPECT_EQ(several.counts().invalid_utf8, 2) << "of all documents, not of the last";
  const auto empties = write("e.txt", "ab\n\n??\n\nc");
  EXPECT_EQ(
      TokenRows({.path = empties, .split = TextSplit::kParagraph}, {}, &tokenizer).counts().empty_documents,
      1);
}

TEST_F(TokenRowsTest, UsesTokenArraysAsTheyAre) {
  const std::vector<int32_t> ids = {5, 1, 7, 9, 2, 2};
  write_npy(dir.file("t.npy"), Dtype::kI32, {2, 3}, ids.data());
  const TokenRows rows({.path = dir.file("t.npy")}, {.context = 2, .bos = true}, nullptr);
  EXPECT_EQ(rows.rows(), 2);
  EXPECT_EQ(std::vector<int32_t>(rows.token_ids().begin(), rows.token_ids().end()), ids);
  EXPECT_EQ(rows.document_of(4), 1);
  EXPECT_EQ(rows.row_of(2), 0);
  const std::vector<float> floats(4);
  write_npy(dir.file("f.npy"), Dtype::kF32, {2, 2}, floats.data());
  EXPECT_EQ(code_of([&] { (void)TokenRows({.path = dir.file("f.npy")}, {}, nullptr); }), ExitCode::kData);
}

TEST_F(TokenRowsTest, NamesFileAndLineOfBrokenInput) {
  const LetterTokenizer tokenizer;
  for (const char* bad : {"{\"text\": 1}", "{\"other\": \"a\"}", "[1]", "{", "\"a\""}) {
    const auto path = write("bad.jsonl", std::string("{\"text\": \"a\"}\n") + bad + "\n");
    try {
      (void)TokenRows({.path = path}, {}, &tokenizer);
      FAIL() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kData);
      EXPECT_NE(std::string(error.what()).find("bad.jsonl, line 2"), std::string::npos) << error.what();
    }
  }
}

TEST_F(TokenRowsTest, RefusesWhatItCannotDo) {
  const auto path = write("p.txt", "abc");
  const LetterTokenizer bare(false, false), full;
  std::filesystem::create_directories(dir.file("nothing"));
  EXPECT_EQ(code_of([&] { (void)TokenRows({.path = dir.file("absent.txt")}, {}, &full); }), ExitCode::kIo);
  EXPECT_EQ(code_of([&] { (void)TokenRows({.path = dir.file("nothing")}, {}, &full); }), ExitCode::kConfig);
  EXPECT_EQ(code_of([&] { (void)TokenRows({.path = path}, {.bos = true}, &bare); }), ExitCode::kConfig);
  EXPECT_EQ(code_of([&] { (void)TokenRows({.path = path}, {.pack = true}, &bare); }), ExitCode::kConfig);
  EXPECT_EQ(code_of([&] { (void)TokenRows({.path = path}, {.context = 1, .bos = true}, &full); }),
            ExitCode::kConfig);
  EXPECT_EQ(code_of([&] { (void)models::text_split_from_name("page"); }), ExitCode::kConfig);
}

TEST_F(TokenRowsTest, AModelTakesRowsUpToItsContext) {
  const LetterTokenizer tokenizer;
  const auto path = write("p.txt", "abcd");
  const TokenRows rows({.path = path}, {}, &tokenizer);
  EXPECT_EQ(code_of([&] { models::check_rows(rows, path, 4); }), ExitCode::kDone);
  EXPECT_EQ(code_of([&] { models::check_rows(rows, path, 3); }), ExitCode::kConfig);
  const auto nothing = write("n.txt", "");
  const TokenRows none({.path = nothing}, {}, &tokenizer);
  std::string message;
  EXPECT_EQ(code_of([&] { models::check_rows(none, nothing, 3); }, &message), ExitCode::kData);
  EXPECT_NE(message.find(nothing), std::string::npos) << message;
}

TEST_F(TokenRowsTest, IdentityFollowsTokensRowsAndDocuments) {
  const LetterTokenizer tokenizer;
  const auto one = write("1.txt", "abc\n\ndef");
  const auto identity = [&](const TextSource& source, const RowOptions& options) {
    return TokenRows(source, options, &tokenizer).identity();
  };
  const std::string whole = identity({.path = one}, {.context = 3});
  EXPECT_EQ(identity({.path = one}, {.context = 3}), whole);
  EXPECT_NE(identity({.path = one}, {.context = 4}), whole);
  EXPECT_NE(identity({.path = one, .split = TextSplit::kParagraph}, {.context = 3}), whole);
}

TEST_F(TokenRowsTest, AppendsAnotherTextBehind) {
  const auto first = write("a.txt", "abcd");
  const auto second = write("b.txt", "efgh");
  const LetterTokenizer tokenizer;
  TokenRows rows({.path = first}, {.context = 3}, &tokenizer);
  rows.append(TokenRows({.path = second}, {.context = 4}, &tokenizer));
  EXPECT_EQ(shown(rows), "abc[0]|d[0]|efgh[1]");
  EXPECT_EQ(rows.longest_row(), 4);
  EXPECT_EQ(rows.counts().documents, 2);
}

TEST_F(TokenRowsTest, SequencesAreADocumentEach) {
  const std::vector<std::vector<int32_t>> sequences = {{3, 4, 5}, {6}};
  const TokenRows rows(sequences);
  EXPECT_EQ(shown(rows), "abc[0]|d[1]");
  EXPECT_EQ(rows.longest_row(), 3);
}

TEST_F(TokenRowsTest, ComposesDocumentsOfATemplate) {
  const auto path = write("t.jsonl",
                          "{\"domain\":\"puzzle\",\"problem\":\"P\",\"deepseek_reasoning\":\"R\","
                          "\"deepseek_solution\":\"S\"}\n");
  models::TextCounts counts;
  std::string text;
  models::visit_documents({.path = path, .openthoughts = models::OpenThoughtsPrompts{}}, counts,
                          [&](std::string document) {
                            text = std::move(document);
                            return true;
                          });
  EXPECT_TRUE(text.ends_with("<｜User｜>P<｜Assistant｜><think>\nR\n</think>\nS"));
  const auto broken = write("broken.jsonl", "{\"domain\":\"puzzle\",\"problem\":\"P\"}\n");
  EXPECT_EQ(code_of([&] {
              models::visit_documents({.path = broken, .openthoughts = models::OpenThoughtsPrompts{}}, counts,
                                      [](const std::string&) { return true; });
            }),
            ExitCode::kData);
}

}  // namespace
}  // namespace orthant
