#include "models/text/text_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "runtime/core/error.h"
#include "tests/support/code_of.h"
#include "tests/support/temp_dir.h"

namespace orthant::models {
namespace {

using ::testing::HasSubstr;

class TextFile : public ::testing::Test {
 protected:
  std::string written(const std::string& text) {
    const std::string path = directory_.file("text");
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  testing::TempDir directory_;
  int64_t replaced_ = 0;
  std::string message_;
};

TEST_F(TextFile, IsReadWholeAndMended) {
  EXPECT_EQ(read_text_file(written("a\n\xff\n"), replaced_), "a\n\uFFFD\n");
  EXPECT_EQ(replaced_, 1);
  EXPECT_EQ(read_text_file(written(""), replaced_), "");
}

TEST_F(TextFile, LinesAreCountedWithTheBlankOnes) {
  std::vector<int64_t> lines;
  const std::string path = written("1\n\n \t\r\n2\r\n3");
  visit_json_lines(path, replaced_, [&](const boost::json::value& value, int64_t line) {
    lines.push_back(10 * line + value.as_int64());
    return value.as_int64() < 3;
  });
  EXPECT_EQ(lines, (std::vector<int64_t>{11, 42, 53}));
  lines.clear();
  visit_json_lines(path, replaced_, [&](const boost::json::value&, int64_t line) {
    lines.push_back(line);
    return false;
  });
  EXPECT_EQ(lines, (std::vector<int64_t>{1}));
}

TEST_F(TextFile, RefusesWhatIsNoJsonAndNoFile) {
  const auto visit = [&](const std::string& path) {
    return testing::code_of(
        [&] { visit_json_lines(path, replaced_, [](const boost::json::value&, int64_t) { return true; }); },
        &message_);
  };
  EXPECT_EQ(visit(written("1\n{\n")), ExitCode::kData);
  EXPECT_THAT(message_, HasSubstr("text, line 2"));
  EXPECT_EQ(visit(directory_.file("absent")), ExitCode::kIo);
  EXPECT_EQ(visit(directory_.path().string()), ExitCode::kIo);
}

}  // namespace
}  // namespace orthant::models
