#include "runtime/report/run_report.h"

#include <gtest/gtest.h>

#include "tests/support/run_fixture.h"
#include "tests/support/temp_dir.h"
#include "tests/support/xml_check.h"

namespace orthant {
namespace {

using testing::occurrences;

std::vector<RunSummary> three_runs(const testing::TempDir& folder) {
  testing::write_training_run(folder.path() / "batchtopk", "0", 0.8125, 10);
  testing::write_training_run(folder.path() / "ortsae", "0.25", 0.7777, 7);
  testing::write_evaluation_run(folder.path() / "evaluate");
  std::vector<RunSummary> runs;
  for (const char* name : {"batchtopk", "ortsae", "evaluate"})
    runs.push_back(read_run(folder.file(name), {}));
  name_runs(runs);
  return runs;
}

class RunReport : public ::testing::Test {
 protected:
  testing::TempDir folder_;
  std::vector<RunSummary> runs_ = three_runs(folder_);
  std::string page_ = run_report(runs_, {.title = "A & B", .written = "Written today."});
  [[nodiscard]] bool holds(std::string_view part) const { return page_.find(part) != std::string::npos; }
};

TEST_F(RunReport, IsOneWellFormedFileWithoutOutsideParts) {
  EXPECT_EQ(testing::xml_problem(page_), "");
  for (const char* part : {"http://", "https://", "<script", "<link", "@import", "url("})
    EXPECT_FALSE(holds(part)) << part;
}

TEST_F(RunReport, HoldsTheNumbersOfEveryRun) {
  for (const char* number : {"0.8125", "0.7777", "0.6543", "31.5", "30.25", "0.0125", "0.31", "0.2987",
                             "0.1234", "0.9876", "40,960", "54,321"}) {
    EXPECT_TRUE(holds(number)) << number;
  }
}

TEST_F(RunReport, TheBetterExplainedVarianceIsMarked) {
  EXPECT_TRUE(holds("class=\"number best\">0.8125<"));
  EXPECT_FALSE(holds("class=\"number best\">0.7777<"));
}

TEST_F(RunReport, CurvesOverlayRunsAndLaterOnesAreClosed) {
  EXPECT_TRUE(holds("aria-label=\"Loss\""));
  EXPECT_TRUE(holds("aria-label=\"Explained variance\""));
  EXPECT_TRUE(holds("All other curves (1)"));
  EXPECT_FALSE(holds("aria-label=\"Dead latents\""));
  EXPECT_TRUE(holds("class=\"line s1\""));
}

TEST_F(RunReport, HistogramsShowSharesAndChance) {
  EXPECT_TRUE(holds("aria-label=\"Firing density\""));
  EXPECT_TRUE(holds("evaluate: −4 to −2: 80"));
  EXPECT_TRUE(holds("random directions"));
}

TEST_F(RunReport, ContextsAreEscapedAndShaded) {
  EXPECT_TRUE(holds("class=\"t peak\" style=\"--a:0.75\" title=\"4\"> &lt;cat&gt;</span>"));
  EXPECT_TRUE(holds("⏎"));
  EXPECT_TRUE(holds("document 3, position 17"));
  EXPECT_LT(page_.find("Latent 9"), page_.find("Latent 7"));
}

TEST_F(RunReport, SettingsThatDifferAreShownAndEqualOnesNot) {
  const std::string section = page_.substr(page_.find("<h2>Settings that differ"));
  const std::string table = section.substr(0, section.find("</section>"));
  EXPECT_NE(table.find("sae.orthogonality.coefficient"), std::string::npos);
  EXPECT_NE(table.find("<td>0.25</td>"), std::string::npos);
  EXPECT_EQ(table.find("sae.k"), std::string::npos);
  EXPECT_EQ(table.find(">out<"), std::string::npos);
}

TEST_F(RunReport, ProvenanceQuotesTheCommand) {
  EXPECT_TRUE(holds("orthant train &#39;--out=a b&#39; --sae.k=32"));
  EXPECT_TRUE(holds("one × 2"));
  EXPECT_TRUE(holds("data 1, dictionary 2"));
}

TEST_F(RunReport, ManyRunsBecomeRows) {
  std::vector<RunSummary> many;
  for (int i = 0; i < 20; ++i) {
    many.push_back(runs_[static_cast<size_t>(i % 2)]);
    many.back().name = "run-" + std::to_string(i);
  }
  const std::string page = run_report(many, {.title = "t"});
  EXPECT_EQ(testing::xml_problem(page), "");
  EXPECT_NE(page.find("<tr><th scope=\"row\"><span class=\"swatch s1\"></span><b>run-17</b></th>"),
            std::string::npos);
}

TEST_F(RunReport, AnEmptyRunIsReportedAsFarAsItGoes) {
  testing::write_text(folder_.file("empty/run.json"), "{}");
  std::vector<RunSummary> runs = {read_run(folder_.file("empty"), {})};
  name_runs(runs);
  const std::string page = run_report(runs, {.title = "t"});
  EXPECT_EQ(testing::xml_problem(page), "");
  EXPECT_NE(page.find("It has not finished"), std::string::npos);
  EXPECT_EQ(page.find("<svg"), std::string::npos);
}

TEST_F(RunReport, ListsOfRowsBecomeTables) {
  testing::write_text(
      folder_.file("sweep/result.json"),
      R"({"cells":[{"key":"k1","point":{"sae.k":32},"l0":31.9},{"key":"k2","point":{"sae.k":64},"state":"failed"}]})");
  std::vector<RunSummary> runs = {read_run(folder_.file("sweep"), {})};
  name_runs(runs);
  const std::string page = run_report(runs, {.title = "t"});
  EXPECT_EQ(testing::xml_problem(page), "");
  EXPECT_NE(page.find("point.sae.k"), std::string::npos);
  EXPECT_EQ(occurrences(page, "<td class=\"number\">31.9"), 1u);
}

}  // namespace
}  // namespace orthant
