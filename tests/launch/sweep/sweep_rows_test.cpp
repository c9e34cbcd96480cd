#include "launch/sweep/sweep_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "runtime/core/error.h"
#include "tests/support/code_of.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

json::array cells() {
  return json::parse(R"([
    {"key":"a","point":{"sae.k":32,"sae.preset":"ortsae"},"state":"done","runs":1,"l0":31.5,"explained_variance":0.7,"core":{"cosine":0.9}},
    {"key":"b","point":{"sae.k":64,"sae.preset":"ortsae"},"state":"done","runs":2,"l0":63.0,"explained_variance":0.8,"core":{"cosine":0.8}},
    {"key":"c","point":{"sae.k":128,"sae.preset":"topk, say \"1\""},"state":"failed","runs":1,"reason":"no room"}])")
      .as_array();
}

std::vector<std::string> keys(const std::vector<std::string>& where, const std::string& best = "") {
  std::vector<std::string> found;
  for (const json::object& cell : chosen_cells(cells(), where, best))
    found.emplace_back(cell.at("key").as_string());
  return found;
}

using Keys = std::vector<std::string>;

TEST(SweepRows, AreChosenByFieldsAndNumbers) {
  EXPECT_EQ(keys({}), (Keys{"a", "b", "c"}));
  EXPECT_EQ(keys({"sae.k=32"}), (Keys{"a"}));
  EXPECT_EQ(keys({"k>=64"}), (Keys{"b", "c"}));
  EXPECT_EQ(keys({"l0<70", "k!=32"}), (Keys{"b"}));
  EXPECT_EQ(keys({"core.cosine>0.85"}), (Keys{"a"}));
  EXPECT_EQ(keys({"preset=ortsae"}), (Keys{"a", "b"}));
  EXPECT_EQ(keys({"state=failed"}), (Keys{"c"}));
  EXPECT_EQ(keys({"k<=1"}), Keys{});
}

TEST(SweepRows, TheBestIsTheLargestOrWithAMinusTheSmallest) {
  EXPECT_EQ(keys({}, "explained_variance"), (Keys{"b"}));
  EXPECT_EQ(keys({}, "-explained_variance"), (Keys{"a"}));
  EXPECT_EQ(keys({"k<64"}, "explained_variance"), (Keys{"a"}));
}

TEST(SweepRows, UnknownNamesAndBadConditionsAreRefused) {
  std::string message;
  EXPECT_EQ(testing::code_of([] { (void)keys({"kk=3"}); }, &message), ExitCode::kUsage);
  EXPECT_THAT(message, HasSubstr("kk"));
  EXPECT_EQ(testing::code_of([] { (void)keys({"k"}); }), ExitCode::kUsage);
  EXPECT_EQ(testing::code_of([] { (void)keys({}, "fvu"); }), ExitCode::kUsage);
}

TEST(SweepRows, ATableAlignsColumnsAndNamesFailures) {
  const std::string table = cells_table(chosen_cells(cells(), {}, ""));
  EXPECT_THAT(table, HasSubstr("explained_variance"));
  EXPECT_THAT(table, HasSubstr("c: no room"));
  const std::string first = table.substr(0, table.find('\n'));
  const std::string second =
      table.substr(first.size() + 1, table.find('\n', first.size() + 1) - first.size() - 1);
  EXPECT_EQ(first.size(), second.size());
}

TEST(SweepRows, CsvQuotesAndHasOneColumnForEveryScalar) {
  const std::string csv = cells_csv(chosen_cells(cells(), {}, ""));
  EXPECT_EQ(csv.substr(0, csv.find('\n')),
            "key,name,state,reason,runs,sae.k,sae.preset,l0,explained_variance,core.cosine");
  EXPECT_THAT(csv, HasSubstr("c,,failed,no room,1,128,\"topk, say \"\"1\"\"\",,,\n"));
  EXPECT_THAT(csv, HasSubstr("a,,done,,1,32,ortsae,3.15E1,7E-1,9E-1\n"));
}

TEST(SweepRows, AResultThatRepeatsAFieldOfThePointHasNoSecondColumn) {
  const json::array repeated =
      json::parse(R"([{"key":"a","point":{"threshold":0.5},"state":"done","threshold":0.5,"share":1}])")
          .as_array();
  const std::string csv = cells_csv(chosen_cells(repeated, {}, ""));
  EXPECT_EQ(csv.substr(0, csv.find('\n')), "key,name,state,reason,runs,threshold,share");
  EXPECT_EQ(table_numbers(chosen_cells(repeated, {}, "")), std::vector<std::string>{"share"});
}

TEST(SweepRows, JsonLinesHoldOneCellEach) {
  const std::string lines = cells_jsonl(chosen_cells(cells(), {"state=done"}, ""));
  EXPECT_EQ(json::parse(lines.substr(0, lines.find('\n'))).at("key").as_string(), "a");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
}

}  // namespace
}  // namespace orthant::launch
