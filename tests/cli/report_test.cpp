#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/support/run_fixture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/xml_check.h"

namespace orthant {
namespace {

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class ReportVerb : public ::testing::Test {
 protected:
  testing::TempDir folder_;
  // The exit code; output and errors go to the files `output` and `errors`.
  [[nodiscard]] int orthant(const std::string& arguments) const {
    const std::string command = "cd '" + folder_.path().string() + "' && '" + ORTHANT_PROGRAM + "' " +
                                arguments + " >output 2>errors";
    return WEXITSTATUS(std::system(command.c_str()));
  }
  [[nodiscard]] std::string text(const std::string& name) const { return read_text(folder_.file(name)); }
};

TEST_F(ReportVerb, WritesAPageAndSaysWhere) {
  testing::write_training_run(folder_.path() / "a", "0", 0.5432, 4);
  testing::write_evaluation_run(folder_.path() / "b");
  ASSERT_EQ(orthant("report a b/ --out=page --json --title='My runs'"), 0) << text("errors");
  EXPECT_NE(text("output").find("\"report\":\"page/report.html\""), std::string::npos) << text("output");
  const std::string page = text("page/report.html");
  EXPECT_EQ(testing::xml_problem(page), "");
  EXPECT_NE(page.find("My runs"), std::string::npos);
  EXPECT_NE(page.find("0.5432"), std::string::npos);
  EXPECT_EQ(text("page/result.json"), text("output"));
}

TEST_F(ReportVerb, ARepeatedReportShowsWhatHasChanged) {
  testing::write_training_run(folder_.path() / "a", "0", 0.5432, 4);
  ASSERT_EQ(orthant("report a --out=page"), 0) << text("errors");
  testing::write_training_run(folder_.path() / "a", "0", 0.6789, 4);
  testing::write_evaluation_run(folder_.path() / "b");
  ASSERT_EQ(orthant("report a b --out=page"), 0) << text("errors");
  EXPECT_NE(text("page/report.html").find("0.6789"), std::string::npos);
  EXPECT_EQ(text("page/report.html").find("0.5432"), std::string::npos);
}

TEST_F(ReportVerb, BadInputsEndWithTheirCodes) {
  testing::write_text(folder_.file("other/readme.txt"), "x");
  testing::write_training_run(folder_.path() / "a", "0", 0.5, 4);
  EXPECT_EQ(orthant("report absent --out=page"), 74);
  EXPECT_NE(text("errors").find("'absent'"), std::string::npos);
  EXPECT_EQ(orthant("report other --out=page"), 65);
  EXPECT_NE(text("errors").find("not a run directory"), std::string::npos);
  EXPECT_EQ(orthant("report --out=page"), 64);
  EXPECT_EQ(orthant("report a"), 64);
  EXPECT_EQ(orthant("report a --out=a"), 78);
  EXPECT_NE(text("a/result.json").find("0.5"), std::string::npos);  // nothing is lost by it
}

}  // namespace
}  // namespace orthant
