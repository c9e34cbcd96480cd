#include "runtime/report/result_plots.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "runtime/report/result_rows.h"
#include "tests/support/xml_check.h"

namespace orthant {
namespace {

RunSummary run_of(const std::string& name, const std::string& result) {
  RunSummary run;
  run.name = name;
  run.result = boost::json::parse(result).as_object();
  return run;
}

constexpr const char* kLayers = R"({"kl": 0.5, "layers": [
  {"hook": "blocks.2.hook_resid_post", "cosine": 0.75, "histogram": {"of": "cosine of rows", "edges": [0, 0.5, 1], "counts": [1, 3]}},
  {"hook": "blocks.0.hook_resid_post", "cosine": 0.25, "histogram": {"of": "cosine of rows", "edges": [0, 0.5, 1], "counts": [2, 2]}}]})";

bool holds(const std::string& html, const std::string& part) {
  return html.find(part) != std::string::npos;
}

TEST(ResultPlots, ShowMeasuresOverLayersAndHistogramsOfRows) {
  const std::vector<RunSummary> runs = {run_of("one", kLayers), run_of("two", kLayers)};
  const std::string html = result_plots(runs);
  EXPECT_EQ(testing::xml_problem("<div>" + html + "</div>"), "");
  EXPECT_TRUE(holds(html, "aria-label=\"cosine over layers\""));
  EXPECT_TRUE(holds(html, "one: layers"));
  EXPECT_TRUE(holds(html, "two: layers"));
  EXPECT_TRUE(holds(html, "blocks.0.hook_resid_post"));
  EXPECT_TRUE(holds(html, ">cosine of rows<"));
  EXPECT_FALSE(holds(html, "kl over"));
}

TEST(ResultPlots, ShowHistogramsOfTheResultAndMeasuresOverPositions) {
  const std::string result = R"({"log10_kl_histogram": {"edges": [-1, 0, 1], "counts": [4, 1]},
    "positions": [{"from": 1, "to": 1, "tokens": 9, "kl": 0.5}, {"from": 2, "to": 3, "tokens": 8, "kl": 0.25}]})";
  const std::vector<RunSummary> runs = {run_of("one", result)};
  const std::string html = result_plots(runs);
  EXPECT_EQ(testing::xml_problem("<div>" + html + "</div>"), "");
  EXPECT_TRUE(holds(html, "aria-label=\"log10 kl histogram\""));
  EXPECT_TRUE(holds(html, "aria-label=\"kl over positions\""));
  EXPECT_FALSE(holds(html, "aria-label=\"tokens over positions\""));
}

TEST(ResultPlots, AreNothingWhereThereIsNothingToPlot) {
  const std::vector<RunSummary> runs = {
      run_of("one", R"({"a": 1, "rows": [{"hook": "blocks.x", "b": 1}, {"from": "p", "to": "q", "b": 2}],
                       "broken": {"edges": [0, 1], "counts": [1, 2, 3]}, "histogram": {"edges": [], "counts": []}})")};
  EXPECT_EQ(result_plots(runs), "");
  EXPECT_EQ(result_plots({}), "");
}

TEST(ResultPlots, OfManyRowsSomeAreShown) {
  std::string rows;
  for (int i = 0; i < 30; ++i) {
    rows += fmt::format(R"({}{{"name": "row-{}", "histogram": {{"edges": [0, 1], "counts": [1]}}}})",
                        i == 0 ? "" : ",", i);
  }
  const std::vector<RunSummary> runs = {run_of("one", fmt::format(R"({{"stages": [{}]}})", rows))};
  const std::string html = result_plots(runs);
  EXPECT_TRUE(holds(html, ">row-0<"));
  EXPECT_TRUE(holds(html, ">row-29<"));
  EXPECT_FALSE(holds(html, ">row-1<"));
}

TEST(ResultPlots, LeaveHistogramsAndLongListsOutOfTables) {
  std::string many;
  for (int i = 0; i < 100; ++i) many += fmt::format("{}{}", i == 0 ? "" : ",", 1000 + i);
  const RunSummary run =
      run_of("one", fmt::format(R"({{"stages": [{{"name": "S", "share": 0.5, "few": [1, 2], "many": [{}],
                         "histogram": {{"edges": [0, 1], "counts": [777]}}}}]}})",
                                many));
  const std::string html = result_rows(run, 0);
  EXPECT_TRUE(holds(html, "0.5"));
  EXPECT_TRUE(holds(html, "1, 2"));
  EXPECT_TRUE(holds(html, "100 values"));
  EXPECT_FALSE(holds(html, "777"));
  EXPECT_FALSE(holds(html, "1042"));
}

}  // namespace
}  // namespace orthant
