#include "runtime/job/sweep_grid.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "launch/config.pb.h"
#include "runtime/core/error.h"
#include "runtime/job/config.pb.h"
#include "tests/support/code_of.h"

namespace orthant {
namespace {

using testing::code_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

const ConfigSchema& train_schema() {
  static const ConfigSchema schema("train", *launch::Train::descriptor(), Common::descriptor());
  return schema;
}

Sweep sweep_of(const std::string& text) {
  Sweep sweep;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &sweep));
  return sweep;
}

std::vector<GridPoint> expand(const std::string& text) {
  return expand_grid(sweep_of(text), train_schema());
}

std::string refusal(const std::string& text, ExitCode code = ExitCode::kConfig) {
  std::string message;
  EXPECT_EQ(code_of([&] { (void)expand(text); }, &message), code) << text;
  return message;
}

constexpr char kTwoAxes[] =
    R"(axis { field: "sae.k" values: "32" values: "64" } axis { field: "seed" values: "0" values: "1" values: "2" })";

TEST(SweepGrid, IsTheProductOfItsAxesTheFirstSlowest) {
  const auto points = expand(kTwoAxes);
  ASSERT_EQ(points.size(), 6u);
  EXPECT_THAT(points[0].settings, ElementsAre(Pair("sae.k", "32"), Pair("seed", "0")));
  EXPECT_THAT(points[2].settings, ElementsAre(Pair("sae.k", "32"), Pair("seed", "2")));
  EXPECT_THAT(points[5].settings, ElementsAre(Pair("sae.k", "64"), Pair("seed", "2")));
}

TEST(SweepGrid, ZippedAxesGoTogetherAndNamedPointsAreOneAxis) {
  const auto points = expand(R"(
    zip { axis { field: "train.lr" values: "2e-4" values: "4e-4" } axis { field: "train.batch_tokens" values: "64" values: "128" } }
    point { name: "small" set { field: "sae.latents" value: "16" } set { field: "sae.k" value: "2" } }
    point { name: "large" set { field: "sae.latents" value: "64" } })");
  ASSERT_EQ(points.size(), 4u);
  EXPECT_EQ(points[0].name, "small");
  EXPECT_THAT(points[0].settings, ElementsAre(Pair("train.lr", "2e-4"), Pair("train.batch_tokens", "64"),
                                              Pair("sae.latents", "16"), Pair("sae.k", "2")));
  EXPECT_EQ(points[3].name, "large");
  EXPECT_THAT(points[3].settings, ElementsAre(Pair("train.lr", "4e-4"), Pair("train.batch_tokens", "128"),
                                              Pair("sae.latents", "64")));
}

TEST(SweepGrid, RangesAreEvenInDifferenceOrRatioAndWholeWhereTheFieldIs) {
  const auto linear = expand(R"(axis { field: "train.lr" range { from: 0.1 to: 0.3 count: 3 } })");
  EXPECT_EQ(linear[1].settings[0].second, "0.2");
  const auto log = expand(R"(axis { field: "sae.k" range { from: 8 to: 128 count: 4 scale: "log" } })");
  ASSERT_EQ(log.size(), 4u);
  EXPECT_EQ(log[0].settings[0].second, "8");
  EXPECT_EQ(log[1].settings[0].second, "20");  // 8 * 16^(1/3) = 20.16
  EXPECT_EQ(log[3].settings[0].second, "128");
  EXPECT_EQ(expand(R"(axis { field: "seed" range { from: 7 to: 9 count: 1 } })")[0].settings[0].second, "7");
}

TEST(SweepGrid, ExcludedCellsHaveAllValuesOfAnExclude) {
  const auto points = expand(std::string(kTwoAxes) +
                             R"(exclude { field: "sae.k" value: "64" field: "seed" value: "1.0" }
                                exclude { field: "seed" value: "2" })");
  ASSERT_EQ(points.size(), 3u);
  EXPECT_THAT(points[2].settings, ElementsAre(Pair("sae.k", "64"), Pair("seed", "0")));
}

TEST(SweepGrid, RefusesWhatIsNoGrid) {
  EXPECT_THAT(refusal(""), HasSubstr("no cells"));
  EXPECT_THAT(refusal(R"(axis { field: "sae.k" })"), HasSubstr("no values"));
  EXPECT_THAT(refusal(R"(axis { field: "sae.kk" values: "1" })", ExitCode::kUsage), HasSubstr("sae.k"));
  EXPECT_THAT(refusal(R"(axis { field: "threads" values: "1" })"), HasSubstr("how a job runs"));
  EXPECT_THAT(refusal(R"(axis { field: "sae.k" values: "1" } axis { field: "sae.k" values: "2" })"),
              HasSubstr("set twice"));
  EXPECT_THAT(
      refusal(
          R"(zip { axis { field: "sae.k" values: "1" } axis { field: "seed" values: "1" values: "2" } })"),
      HasSubstr("1 and 2 values"));
  EXPECT_THAT(refusal(R"(axis { field: "sae.k" range { from: 0 to: 4 count: 2 scale: "log" } })"),
              HasSubstr("range"));
  EXPECT_THAT(refusal(R"(axis { field: "sae.k" values: "4" } exclude { field: "sae.k" })"),
              HasSubstr("1 fields and 0 values"));
  EXPECT_THAT(refusal(R"(axis { field: "sae.k" values: "4" } exclude { field: "sae.k" value: "4" })"),
              HasSubstr("excluded"));
}

TEST(SweepGrid, ARangeIsCountedBeforeItIsWritten) {
  EXPECT_THAT(refusal(R"(axis { field: "seed" range { from: 0 to: 1 count: 4000000000000000 } })"),
              HasSubstr("4000000000000000 cells"));
}

TEST(SweepGrid, AnExcludeOfAFieldThatNothingSetsIsRefused) {
  EXPECT_THAT(refusal(R"(axis { field: "sae.k" values: "4" } exclude { field: "seed" value: "4" })"),
              HasSubstr("no axis"));
}

TEST(SweepGrid, AskBeforeAGridOfAMillionCells) {
  const std::string text = R"(axis { field: "seed" range { from: 1 to: 1000 count: 1000 } }
                              axis { field: "sae.k" range { from: 1 to: 1000 count: 1000 } })";
  const std::string message = refusal(text);
  EXPECT_THAT(message, HasSubstr("1000000 cells"));
  EXPECT_THAT(message, HasSubstr("--max_cells=1000000"));
}

}  // namespace
}  // namespace orthant
