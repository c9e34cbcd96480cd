// A grid of trainings, driven from outside: packed, shared, killed, and with cells that fail.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using testing::content_of;
using testing::ended;
using ::testing::HasSubstr;
using testing::Outcome;
using testing::RunningProgram;

constexpr char kBase[] = R"(
  source { synthetic { features: 40 d_model: 16 l0: 4 } seed: 5 }
  sae { preset: "ortsae" latents: 48 k: 4 }
  train { batch_tokens: 64 tokens: 640 holdout_rows: 128 lr_warm_up_steps: 2 }
  checkpoint { every_steps: 3 })";

// Over k, latents, weight of the penalty and seed, on one stream: 24 cells.
constexpr char kGrid[] = R"(
  axis { field: "sae.k" values: "2" values: "4" }
  axis { field: "sae.latents" values: "32" values: "48" }
  axis { field: "sae.orthogonality.coefficient" values: "0" values: "0.25" }
  axis { field: "seed" values: "0" values: "1" values: "2" })";

constexpr char kFourCells[] = R"(
  axis { field: "sae.k" values: "2" values: "4" }
  axis { field: "seed" values: "0" values: "1" })";

std::string launcher(int ranks) {
  return ranks == 1 ? std::string() : fmt::format("mpirun -n {}", ranks);
}

class Sweep : public ::testing::Test {
 protected:
  std::string file_of(const std::string& axes, const std::string& base = kBase) {
    const std::string path = folder_.file(fmt::format("sweep-{}.textproto", files_++));
    std::ofstream(path) << "verb: \"train\"\nbase { train {" << base << "} }\n" << axes;
    return path;
  }
  std::string command(const std::string& file, const std::string& out, const std::string& more = "") {
    return fmt::format("sweep --config={} --out={} --json --log_level=warning --progress=none {}", file,
                       folder_.file(out), more);
  }
  Outcome run(const std::string& file, const std::string& out, const std::string& more = "", int ranks = 1) {
    return testing::run_orthant(command(file, out, more), launcher(ranks));
  }
  json::object result(const std::string& out) {
    return json::parse(content_of(folder_.file(out + "/result.json"))).as_object();
  }
  // What of a cell does not depend on who ran it and how fast.
  std::map<std::string, std::string> table(const std::string& out) {
    std::map<std::string, std::string> cells;
    const json::object all = result(out);
    for (const json::value& value : all.at("cells").as_array()) {
      const json::object& cell = value.as_object();
      std::string text = json::serialize(cell.at("point"));
      for (const char* name : {"state", "weights_sha256", "explained_variance", "l0", "steps"}) {
        text += fmt::format(" {}", json::serialize(cell.at(name)));
      }
      cells[cell.at("key").as_string().c_str()] = text;
    }
    return cells;
  }
  std::vector<int64_t> runs(const std::string& out) {
    std::vector<int64_t> counts;
    const json::object all = result(out);
    for (const json::value& cell : all.at("cells").as_array()) counts.push_back(cell.at("runs").as_int64());
    return counts;
  }

  testing::TempDir folder_;
  int files_ = 0;
};

TEST_F(Sweep, EveryMemberOfAPackHasTheWeightsOfItsSoloRun) {
  const std::string file = file_of(kGrid);
  const Outcome outcome = testing::run_orthant(command(file, "packed", "--log_level=info"));
  ASSERT_TRUE(ended(outcome, 0));
  const json::object all = result("packed");
  ASSERT_EQ(all.at("cells").as_array().size(), 24u);
  EXPECT_EQ(json::parse(outcome.out).at("cells").as_array().size(), 24u);
  for (const json::value& cell : all.at("cells").as_array()) {
    const std::string key = cell.at("key").as_string().c_str();
    const std::string config = folder_.file(fmt::format("packed/cells/{}/config.textproto", key));
    const std::string solo = folder_.file(fmt::format("solo-{}", key));
    ASSERT_TRUE(ended(
        testing::run_orthant(fmt::format("train --config={} --log_level=warning --out={}", config, solo)),
        0));
    const json::object alone = json::parse(content_of(solo + "/result.json")).as_object();
    EXPECT_EQ(cell.at("weights_sha256"), alone.at("weights_sha256")) << cell;
    EXPECT_EQ(cell.at("explained_variance"), alone.at("explained_variance"));
    EXPECT_EQ(json::parse(content_of(solo + "/run.json")).at("config_key").as_string(), key);
  }
  int64_t read = 0, given = 0;
  const size_t at = outcome.err.find("24 cells on one reading: ");
  ASSERT_NE(at, std::string::npos) << outcome.err;
  ASSERT_EQ(std::sscanf(outcome.err.c_str() + at, "24 cells on one reading: %ld rows read, %ld given", &read,
                        &given),
            2);
  EXPECT_GE(given, 24 * read);
}

TEST_F(Sweep, ThreeRanksGiveTheTableOfOne) {
  const std::string file = file_of(kGrid);
  ASSERT_TRUE(ended(run(file, "one"), 0));
  ASSERT_TRUE(ended(run(file, "three", "", 3), 0));
  EXPECT_EQ(table("three"), table("one"));
  EXPECT_THAT(runs("three"), ::testing::Each(1));
}

TEST_F(Sweep, KilledAtTenTimesAndRepeatedItEndsWithTheSameTable) {
  const std::string file = file_of(kGrid);
  ASSERT_TRUE(ended(run(file, "whole"), 0));
  std::minstd_rand random(17);
  std::uniform_int_distribution<int> steps(1, 30);  // of this attempt; the grid has 240
  for (int kill = 0; kill < 10; ++kill) {
    const Outcome killed =
        testing::run_command(fmt::format("export ORTHANT_FAULT=train.step:0:{}:kill; ", steps(random)) +
                             testing::orthant_command(command(file, "killed", "--pack=3")));
    ASSERT_EQ(killed.signal, SIGKILL) << "kill " << kill << " came too late";
  }
  EXPECT_FALSE(fs::exists(folder_.file("killed/result.json")));
  ASSERT_TRUE(ended(run(file, "killed", "--pack=3"), 0));
  EXPECT_EQ(table("killed"), table("whole"));
}

TEST_F(Sweep, KilledRanksLoseNoCell) {
  const std::string file = file_of(kGrid);
  ASSERT_TRUE(ended(run(file, "whole"), 0));
  (void)testing::run_command("ORTHANT_FAULT=train.step:1:40:kill mpirun -n 2 " +
                             std::string(ORTHANT_PROGRAM) + " " + command(file, "killed", "--pack=2"));
  EXPECT_FALSE(fs::exists(folder_.file("killed/result.json")));
  ASSERT_TRUE(ended(run(file, "killed", "--pack=2"), 0));
  EXPECT_EQ(table("killed"), table("whole"));
  const std::vector<int64_t> counts = runs("killed");
  EXPECT_GT(std::count(counts.begin(), counts.end(), 1), 12) << "cells that were finished ran again";
}

TEST_F(Sweep, TwoJobsShareTheCellsAndDoNoneTwice) {
  const std::string file = file_of(kGrid);
  ASSERT_TRUE(ended(run(file, "whole"), 0));
  // Every rank rests at its eighth step, so that each job finds the other at work. The limit tells them
  // apart.
  const auto job_of = [&](int max_cells) {
    return "export ORTHANT_FAULT=train.step:*:8:sleep:3; " +
           testing::orthant_command(
               command(file, "shared", fmt::format("--pack=2 --max_cells={}", max_cells)), "mpirun -n 2");
  };
  RunningProgram first(job_of(101));
  RunningProgram second(job_of(102));
  EXPECT_TRUE(ended(first.wait(), 0));
  EXPECT_TRUE(ended(second.wait(), 0));
  EXPECT_EQ(table("shared"), table("whole"));
  EXPECT_THAT(runs("shared"), ::testing::Each(1));
  const json::object job = json::parse(content_of(folder_.file("shared/run.json"))).as_object();
  ASSERT_EQ(job.at("attempts").as_array().size(), 2u);
  for (const json::value& attempt : job.at("attempts").as_array()) {
    EXPECT_EQ(attempt.at("end").as_string(), "done");
    EXPECT_TRUE(attempt.as_object().contains("start_cell"));
  }
  std::map<std::string, int> cells_of_job;
  for (const auto& cell : fs::directory_iterator(folder_.file("shared/cells"))) {
    const json::value own = json::parse(content_of((cell.path() / "run.json").string()));
    ++cells_of_job[std::string(own.at("command_line").as_array().back().as_string())];
  }
  EXPECT_GE(cells_of_job["--max_cells=101"], 2);
  EXPECT_GE(cells_of_job["--max_cells=102"], 2);
}

TEST_F(Sweep, ASignalSavesEveryMemberAndTheNextRunGoesOn) {
  const std::string file = file_of(kFourCells);
  ASSERT_TRUE(ended(run(file, "whole"), 0));
  RunningProgram program("export ORTHANT_FAULT=train.step:0:18:sleep:5; " +
                         testing::orthant_command(command(file, "stopped")));
  ASSERT_TRUE(program.wait_until([&] {
    int64_t checkpoints = 0;
    std::error_code absent;
    for (const auto& entry : fs::directory_iterator(folder_.file("stopped/cells"), absent)) {
      checkpoints += fs::exists(entry.path() / "checkpoint") ? 1 : 0;
    }
    return checkpoints == 4;
  }));
  program.send(SIGUSR1);
  ASSERT_TRUE(ended(program.wait(), 75));
  EXPECT_FALSE(fs::exists(folder_.file("stopped/result.json")));
  ASSERT_TRUE(ended(run(file, "stopped"), 0));
  EXPECT_EQ(table("stopped"), table("whole"));
}

TEST_F(Sweep, CellsRunAtTheMeshOfTheBaseInGroupsOfRanks) {
  const std::string file = file_of(kFourCells, std::string(kBase) + " mesh { dictionary: 2 }");
  ASSERT_TRUE(ended(run(file, "pairs", "", 4), 0));
  ASSERT_TRUE(ended(run(file, "odd", "--mesh.group=2", 3), 0));
  EXPECT_EQ(table("odd"), table("pairs"));
  const json::value cell = result("pairs").at("cells").at(3);
  const std::string key = cell.at("key").as_string().c_str();
  const json::object job =
      json::parse(content_of(folder_.file(fmt::format("pairs/cells/{}/run.json", key)))).as_object();
  EXPECT_EQ(job.at("mesh").at("dictionary").as_int64(), 2);
  EXPECT_TRUE(testing::refused(run(file, "alone"), 78, "mpirun -n 2"));
  EXPECT_TRUE(testing::refused(run(file, "group", "--mesh.group=3", 3), 78, "mesh.group"));
}

TEST_F(Sweep, AFailedCellIsRecordedAndTheOthersGoOn) {
  const std::string file = file_of(R"(
    point { name: "fits" set { field: "sae.latents" value: "48" } }
    point { name: "needs more memory than any host" set { field: "sae.latents" value: "2000000000" } }
    point { name: "k of more than all" set { field: "sae.latents" value: "3" } }
    point { name: "fits too" set { field: "sae.latents" value: "32" } })");
  ASSERT_TRUE(ended(run(file, "out"), 0));
  const json::object all = result("out");
  EXPECT_EQ(all.at("done").as_int64(), 2);
  EXPECT_EQ(all.at("failed").as_int64(), 2);
  const json::array& cells = all.at("cells").as_array();
  EXPECT_EQ(cells[0].at("state").as_string(), "done");
  EXPECT_EQ(cells[1].at("state").as_string(), "failed");
  EXPECT_THAT(std::string(cells[1].at("reason").as_string()), HasSubstr("of memory"));
  EXPECT_EQ(cells[1].at("code").as_int64(), 78);
  EXPECT_EQ(cells[2].at("state").as_string(), "failed");
  EXPECT_EQ(cells[3].at("name").as_string(), "fits too");
  EXPECT_EQ(cells[3].at("state").as_string(), "done");

  const Outcome again = run(file, "out", "--retry");
  ASSERT_TRUE(ended(again, 0));
  EXPECT_EQ(runs("out")[0], 1) << "a finished cell is not run again";
}

TEST_F(Sweep, AMemberThatFailsUnderWayLeavesTheOthersAlone) {
  const std::string file = file_of(kFourCells);
  ASSERT_TRUE(ended(run(file, "whole"), 0));
  const std::map<std::string, std::string> whole = table("whole");
  const Outcome outcome = testing::run_command("export ORTHANT_FAULT=train.step:0:18:throw; " +
                                               testing::orthant_command(command(file, "out")));
  ASSERT_TRUE(ended(outcome, 0));
  const json::object all = result("out");
  EXPECT_EQ(all.at("done").as_int64(), 3);
  EXPECT_EQ(all.at("failed").as_int64(), 1);
  ASSERT_TRUE(ended(run(file, "out", "--retry"), 0));
  EXPECT_EQ(table("out"), whole) << "the failed cell went on, the others are as they were";
}

TEST_F(Sweep, ADirectoryOfAnotherJobIsLeftAlone) {
  const std::string other = folder_.file("trained");
  ASSERT_TRUE(ended(testing::run_orthant("train --source.synthetic.features=40 --source.synthetic.d_model=16 "
                                         "--sae.latents=48 --sae.k=4 --train.batch_tokens=64 "
                                         "--train.tokens=128 --log_level=warning --out=" +
                                         other),
                    0));
  const std::string before = content_of(other + "/result.json");
  EXPECT_TRUE(testing::refused(run(file_of(kFourCells), "trained", "--retry"), 78, "verb"));
  EXPECT_EQ(content_of(other + "/result.json"), before);
  ASSERT_TRUE(ended(run(file_of(kFourCells), "grid"), 0));
  const std::string grid = content_of(folder_.file("grid/result.json"));
  EXPECT_TRUE(testing::refused(run(file_of(kGrid), "grid", "--retry"), 78, "another configuration"));
  EXPECT_EQ(content_of(folder_.file("grid/result.json")), grid);
}

TEST_F(Sweep, ManyRanksTakeOverTheCellsOfAKilledJobOnce) {
  const std::string file = file_of(kGrid);
  ASSERT_TRUE(ended(run(file, "whole"), 0));
  const Outcome killed = testing::run_command("export ORTHANT_FAULT=train.step:0:30:kill; " +
                                              testing::orthant_command(command(file, "killed")));
  ASSERT_EQ(killed.signal, SIGKILL);
  ASSERT_TRUE(ended(run(file, "killed", "--pack=1", 4), 0));
  EXPECT_EQ(table("killed"), table("whole"));
  EXPECT_THAT(runs("killed"), ::testing::Each(2)) << "each was begun by the killed job and once after";
}

TEST_F(Sweep, AFinishedSweepAnswersQuestions) {
  const std::string file = file_of(kFourCells);
  ASSERT_TRUE(ended(run(file, "out"), 0));
  const Outcome csv = testing::run_orthant(fmt::format(
      "sweep --config={} --out={} --log_level=warning --where=k=4 --format=csv", file, folder_.file("out")));
  ASSERT_TRUE(ended(csv, 0));
  EXPECT_EQ(std::count(csv.out.begin(), csv.out.end(), '\n'), 3);
  const Outcome best = run(file, "out", "--best=explained_variance");
  const json::value document = json::parse(best.out);
  const json::array& rows = document.at("cells").as_array();
  ASSERT_EQ(rows.size(), 1u);
  const json::object all = result("out");
  for (const json::value& cell : all.at("cells").as_array()) {
    EXPECT_LE(cell.at("explained_variance").as_double(), rows[0].at("explained_variance").as_double());
  }
  EXPECT_TRUE(testing::refused(run(file, "out", "--where=nothing=4"), 64, "nothing"));
  EXPECT_THAT(runs("out"), ::testing::Each(1));
}

TEST_F(Sweep, RefusesWhatIsNoSweep) {
  EXPECT_TRUE(testing::refused(run(file_of(""), "a"), 78, "no cells"));
  EXPECT_TRUE(testing::refused(
      run(file_of(R"(axis { field: "seed" range { from: 1 to: 1000000 count: 1000000 } })"), "b"), 78,
      "1000000 cells", "--max_cells"));
  EXPECT_TRUE(testing::refused(run(file_of(R"(axis { field: "sae.kay" values: "1" })"), "c"), 64, "sae.k"));
  EXPECT_TRUE(
      testing::refused(run(file_of(R"(axis { field: "sae.k" values: "-1" })"), "d"), 78, "sae.k", "-1"));
  EXPECT_TRUE(
      testing::refused(run(file_of(R"(axis { field: "sae.k" values: "4" values: "4" })"), "e"), 78, "same"));
  EXPECT_TRUE(testing::refused(
      run(file_of(R"(axis { field: "sae.k" values: "4" } base { evaluate {} })"), "f"), 78, "base"));
  EXPECT_TRUE(
      testing::refused(run(file_of(R"(axis { field: "sae.k" values: "4" } axes { })"), "g"), 64, "axes"));
  const std::string file = file_of(R"(axis { field: "sae.k" values: "4" })");
  EXPECT_TRUE(testing::refused(testing::run_orthant("sweep --config=" + file), 64, "--out"));
  for (const char* out : {"a", "b", "c", "d", "e", "f", "g"}) {
    EXPECT_FALSE(fs::exists(folder_.file(out))) << "nothing is left of what was refused";
  }
}

TEST_F(Sweep, ShowsItsGridWithoutRunningIt) {
  const Outcome plan = run(file_of(kFourCells), "out", "--dry_run");
  ASSERT_TRUE(ended(plan, 0));
  const json::value document = json::parse(plan.out);
  ASSERT_EQ(document.at("plan").at("cells").as_array().size(), 4u);
  EXPECT_EQ(document.at("plan").at("cells").at(1).at("point").at("seed").as_int64(), 1);
  EXPECT_FALSE(fs::exists(folder_.file("out")));
}

TEST_F(Sweep, CellsOfAnotherVerbAreSharedToo) {
  const std::string train = file_of(kFourCells);
  ASSERT_TRUE(ended(run(train, "trained"), 0));
  std::string axis = "axis { field: \"sae\"";
  const json::object trained = result("trained");
  for (const json::value& cell : trained.at("cells").as_array()) {
    axis += fmt::format(" values: \"{}\"",
                        folder_.file(fmt::format("trained/cells/{}", cell.at("key").as_string().c_str())));
  }
  const std::string path = folder_.file("evaluate.textproto");
  std::ofstream(path)
      << "base { evaluate { source { synthetic { features: 40 d_model: 16 l0: 4 } seed: 5 } rows: 256 } }\n"
      << axis << " }\n";
  ASSERT_TRUE(ended(run(path, "evaluated", "", 2), 0));
  const json::object all = result("evaluated");
  EXPECT_EQ(all.at("verb").as_string(), "evaluate");
  EXPECT_EQ(all.at("done").as_int64(), 4);
  EXPECT_TRUE(all.at("cells").at(0).as_object().contains("cossim")) << all.at("cells").at(0);
}

}  // namespace
}  // namespace orthant
