#include "runtime/report/run_summary.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <cmath>

#include "runtime/core/error.h"
#include "tests/support/code_of.h"
#include "tests/support/run_fixture.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using testing::TempDir;
using testing::write_text;

ExitCode code_of_reading(const std::string& path) {
  std::string message;
  const ExitCode code = testing::code_of([&] { (void)read_run(path, {}); }, &message);
  EXPECT_NE(message.find(path), std::string::npos);
  return code;
}

TEST(RunSummary, ReadsEveryFile) {
  const TempDir folder;
  testing::write_training_run(folder.path() / "a", "0.25", 0.8, 3);
  const RunSummary run = read_run(folder.file("a"), {});
  EXPECT_EQ(run.verb(), "train");
  EXPECT_EQ(run.settings.at("sae.orthogonality.coefficient"), "0.25");
  EXPECT_EQ(run.history.tokens, (std::vector<double>{4096, 8192, 12288}));
  EXPECT_EQ(run.history.values.at("sparsity/l0").size(), 3u);
  EXPECT_FALSE(run.history.values.contains("seconds"));
  EXPECT_TRUE(run.remarks.empty());
  testing::write_evaluation_run(folder.path() / "b");
  const RunSummary evaluation = read_run(folder.file("b"), {});
  EXPECT_EQ(evaluation.histograms.at("max_cosine").counts, (std::vector<double>{60, 40}));
  EXPECT_EQ(evaluation.contexts.latents.size(), 2u);
}

TEST(RunSummary, DamageIsSaidAndNotFatal) {
  const TempDir folder;
  write_text(
      folder.file("a/metrics.jsonl"),
      "{\"step\":0,\"losses/loss\":1}\nnot json\n{\"step\":1,\"losses/loss\":null,\"losses/new\":2}\n[1]\n"
      "{\"step\":2,\"losses/lo");
  write_text(folder.file("a/result.json"), "{\"l0\":");
  write_text(folder.file("a/run.json"), "[]");
  write_text(folder.file("a/histograms.json"),
             R"({"x":{"edges":[0,1],"counts":[1,2]},"y":{"edges":[0,1],"counts":[3]}})");
  write_text(folder.file("a/config.textproto"), "k: 1\n!!\n");
  const RunSummary run = read_run(folder.file("a"), {});
  EXPECT_EQ(run.history.tokens, (std::vector<double>{0, 1}));
  EXPECT_TRUE(std::isnan(run.history.values.at("losses/loss")[1]));
  EXPECT_TRUE(std::isnan(run.history.values.at("losses/new")[0]));
  EXPECT_EQ(run.history.values.at("losses/new")[1], 2.0);
  EXPECT_EQ(run.histograms.size(), 1u);
  EXPECT_TRUE(run.result.empty());
  ASSERT_EQ(run.remarks.size(), 5u);
  EXPECT_EQ(run.remarks[2], "metrics.jsonl has 3 damaged lines, which were left out.");
}

TEST(RunSummary, HistoryIsSortedByTokens) {
  const TempDir folder;
  write_text(folder.file("a/metrics.jsonl"),
             "{\"step\":2,\"tokens\":20,\"losses/loss\":2}\n{\"step\":1,\"tokens\":10,\"losses/loss\":1}\n");
  const RunSummary run = read_run(folder.file("a"), {});
  EXPECT_EQ(run.history.tokens, (std::vector<double>{10, 20}));
  EXPECT_EQ(run.history.values.at("losses/loss"), (std::vector<double>{1, 2}));
  ASSERT_EQ(run.remarks.size(), 1u);  // unfinished
}

TEST(RunSummary, WhatIsNoRunIsAnError) {
  const TempDir folder;
  EXPECT_EQ(code_of_reading(folder.file("absent")), ExitCode::kIo);
  write_text(folder.file("file"), "x");
  EXPECT_EQ(code_of_reading(folder.file("file")), ExitCode::kIo);
  write_text(folder.file("other/readme.txt"), "x");
  EXPECT_EQ(code_of_reading(folder.file("other")), ExitCode::kData);
}

TEST(RunSummary, NamesAreTheShortestThatDiffer) {
  std::vector<RunSummary> runs(4);
  runs[0].path = "/x/a/sae/";
  runs[1].path = "/x/b/sae";
  runs[2].path = "/y/b/sae/../sae";
  runs[3].path = "/x/plain/.";
  name_runs(runs);
  EXPECT_EQ(runs[0].name, "a/sae");
  EXPECT_EQ(runs[1].name, "x/b/sae");
  EXPECT_EQ(runs[2].name, "y/b/sae");
  EXPECT_EQ(runs[3].name, "plain");
}

TEST(RunSummary, TheSameRunTwiceEnds) {
  std::vector<RunSummary> runs(2);
  runs[0].path = runs[1].path = "/x/a";
  name_runs(runs);
  EXPECT_FALSE(runs[0].name.empty());
}

TEST(RunSummary, FlattensResults) {
  const auto values = flattened(
      boost::json::parse(R"({"a":{"b":1.5,"c":"t"},"d":[1,"x"],"cells":[{"e":1}],"n":null,"f":true})")
          .as_object());
  ASSERT_EQ(values.size(), 4u);
  EXPECT_EQ(values[0].name, "a.b");
  EXPECT_TRUE(values[0].is_number);
  EXPECT_EQ(values[0].number, 1.5);
  EXPECT_EQ(values[1].text, "t");
  EXPECT_EQ(values[2].text, "1, x");
  EXPECT_EQ(values[3].text, "true");
}

}  // namespace
}  // namespace orthant
