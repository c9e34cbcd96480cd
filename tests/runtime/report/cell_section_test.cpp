#include "runtime/report/cell_section.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/run_fixture.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string section_of(const std::string& result) {
  const testing::TempDir folder;
  testing::write_text(folder.path() / "grid" / "result.json", result);
  std::vector<RunSummary> runs = {read_run(folder.file("grid"), {})};
  name_runs(runs);
  return cell_section(runs);
}

TEST(CellSection, DrawsCellsAndNamesThoseOnTheFrontier) {
  const std::string html = section_of(
      R"({"cells":[{"point":{"sae.k":32,"seed":0},"l0":32,"explained_variance":0.7},
                   {"point":{"sae.k":64,"seed":0},"l0":64,"explained_variance":0.6},
                   {"point":{"sae.k":16,"seed":1},"l0":16,"explained_variance":0.5},
                   {"point":{"sae.k":8,"seed":1},"state":"failed"}]})");
  EXPECT_THAT(html, HasSubstr("Explained variance against L0"));
  EXPECT_THAT(html, HasSubstr("On the frontier: 2 of 4 cells"));
  EXPECT_THAT(html, HasSubstr("sae.k 32, seed 0"));
  EXPECT_THAT(html, HasSubstr("1 points left out"));
  EXPECT_THAT(html, Not(HasSubstr("CE loss")));
}

TEST(CellSection, ReadsCellsOfEvaluations) {
  const std::string html = section_of(
      R"({"cells":[{"point":{"sae":"a<b"},"core":{"l0":32,"explained_variance":0.7},"ce":{"ce_loss_score":0.9}}]})");
  EXPECT_THAT(html, HasSubstr("CE loss recovered against L0"));
  EXPECT_THAT(html, HasSubstr("a&lt;b"));
}

TEST(CellSection, IsEmptyWithoutCells) {
  EXPECT_EQ(section_of(R"({"cells":[]})"), "");
  EXPECT_EQ(section_of(R"({"cells":[{"point":{},"perplexity":3}]})"), "");
  EXPECT_EQ(section_of(R"({"l0":3})"), "");
}

}  // namespace
}  // namespace orthant
