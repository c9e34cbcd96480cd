// A training run that is killed, stopped, moved to another mesh or extended ends as if nothing had happened.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/support/program.h"
#include "tests/support/small_train_command.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using testing::content_of;
using testing::ended;
using testing::Outcome;
using testing::run_command;
using testing::RunningProgram;

constexpr int64_t kSteps = 20;

std::string train(const std::string& out, const std::string& more = "") {
  return testing::small_train_command(out, "--train.log_every=1 " + more);
}

std::string launcher(int ranks) {
  return ranks == 1 ? "" : "mpirun -n " + std::to_string(ranks);
}

Outcome run(const std::string& arguments, int ranks = 1) {
  return testing::run_orthant(arguments, launcher(ranks));
}

// An environment variable stands before the launcher, which hands it on.
std::string with_fault(const std::string& fault, const std::string& arguments, int ranks) {
  return "ORTHANT_FAULT=" + fault + " " + launcher(ranks) + " " + ORTHANT_PROGRAM + " " + arguments;
}

json::object object_in(const std::string& path) {
  return json::parse(content_of(path)).as_object();
}

std::string weights_of(const std::string& out) {
  return object_in(out + "/result.json").at("weights_sha256").as_string().c_str();
}

std::vector<json::object> attempts_of(const std::string& out) {
  std::vector<json::object> attempts;
  const json::object run = object_in(out + "/run.json");
  for (const json::value& attempt : run.at("attempts").as_array()) attempts.push_back(attempt.as_object());
  return attempts;
}

int64_t start_step(const json::object& attempt) {
  return attempt.at("start_step").as_int64();
}

std::vector<int64_t> logged_steps(const std::string& out) {
  std::vector<int64_t> steps;
  std::ifstream file(out + "/metrics.jsonl");
  for (std::string line; std::getline(file, line);) {
    if (file.eof()) break;  // a line that is being written
    steps.push_back(json::parse(line).at("step").as_int64());
  }
  return steps;
}

std::vector<int64_t> steps_up_to(int64_t end) {
  std::vector<int64_t> steps(static_cast<size_t>(end));
  for (int64_t step = 0; step < end; ++step) steps[static_cast<size_t>(step)] = step;
  return steps;
}

void expect_equal_runs(const std::string& whole, const std::string& resumed) {
  EXPECT_EQ(weights_of(resumed), weights_of(whole));
  EXPECT_TRUE(content_of(resumed + "/dictionary.safetensors") ==
              content_of(whole + "/dictionary.safetensors"))
      << "the files differ in their header or padding";
  EXPECT_EQ(logged_steps(resumed), logged_steps(whole));
}

struct RunFolders {
  testing::TempDir folder_;
  std::string whole_ = folder_.file("whole");
  std::string out_ = folder_.file("out");
};
class TrainResume : public ::testing::TestWithParam<int>, public RunFolders {};
class TrainAgain : public ::testing::Test, public RunFolders {};

INSTANTIATE_TEST_SUITE_P(Ranks, TrainResume, ::testing::Values(1, 2));

TEST_P(TrainResume, KilledRunEndsAsIfUninterrupted) {
  ASSERT_TRUE(ended(run(train(whole_), GetParam()), 0));
  const Outcome killed = run_command(with_fault("train.step:0:12:kill", train(out_), GetParam()));
  EXPECT_NE(killed.code, 0);
  EXPECT_FALSE(killed.is_late);
  EXPECT_FALSE(fs::exists(out_ + "/result.json"));
  ASSERT_TRUE(ended(run(train(out_), GetParam()), 0));
  expect_equal_runs(whole_, out_);
  EXPECT_EQ(logged_steps(out_), steps_up_to(kSteps));
  const std::vector<json::object> attempts = attempts_of(out_);
  ASSERT_EQ(attempts.size(), 2u);
  EXPECT_EQ(attempts[0].at("end").as_string(), "killed");
  EXPECT_EQ(start_step(attempts[0]), 0);
  EXPECT_EQ(attempts[1].at("end").as_string(), "done");
  EXPECT_EQ(start_step(attempts[1]), 10);
}

// Rank 0 rests before its eighth step, so that the signal arrives during it.
TEST_P(TrainResume, SignalStopsAfterTheStepThatTheNextRunContinues) {
  ASSERT_TRUE(ended(run(train(whole_), GetParam()), 0));
  RunningProgram program("export ORTHANT_FAULT=train.step:0:8:sleep:1; " +
                         testing::orthant_command(train(out_), launcher(GetParam())));
  ASSERT_TRUE(program.wait_until([&] { return logged_steps(out_).size() == 7; }));
  program.send(SIGUSR1);
  const Outcome stopped = program.wait();
  ASSERT_TRUE(ended(stopped, 75));
  EXPECT_EQ(stopped.out, "");
  EXPECT_FALSE(fs::exists(out_ + "/result.json"));
  EXPECT_EQ(attempts_of(out_).at(0).at("end").as_string(), "stopped");
  ASSERT_TRUE(ended(run(train(out_), GetParam()), 0));
  EXPECT_EQ(start_step(attempts_of(out_).at(1)), 8);
  expect_equal_runs(whole_, out_);
}

TEST_F(TrainAgain, FinishedRunPrintsItsResultAndTouchesNothing) {
  const Outcome first = run(train(out_));
  ASSERT_TRUE(ended(first, 0));
  const auto state_of = [&] {
    std::map<std::string, std::pair<fs::file_time_type, std::string>> state;
    for (const auto& entry : fs::recursive_directory_iterator(out_)) {
      if (!entry.is_regular_file()) continue;
      state[entry.path().string()] = {entry.last_write_time(), content_of(entry.path().string())};
    }
    return state;
  };
  const auto before = state_of();
  const Outcome second = run(train(out_));
  ASSERT_TRUE(ended(second, 0));
  EXPECT_EQ(second.out, first.out);
  EXPECT_TRUE(ended(run(train(out_, "--threads=1"), 2), 0)) << "another mesh is no other run";
  EXPECT_TRUE(state_of() == before);
}

TEST_F(TrainAgain, FreshDiscardsWhatWasThere) {
  ASSERT_TRUE(ended(run(train(whole_, "--seed=3")), 0));
  ASSERT_TRUE(ended(run(train(out_)), 0));
  ASSERT_TRUE(ended(run(train(out_, "--seed=3 --fresh")), 0));
  EXPECT_EQ(attempts_of(out_).size(), 1u);
  EXPECT_EQ(start_step(attempts_of(out_).at(0)), 0);
  EXPECT_EQ(weights_of(out_), weights_of(whole_));
  EXPECT_EQ(logged_steps(out_), steps_up_to(kSteps));
}

TEST_F(TrainAgain, MoreTokensContinueAFinishedRun) {
  const std::string constant_rate = "--train.lr_warm_up_steps=0 --train.lr_decay_start=1 ";
  ASSERT_TRUE(ended(run(train(whole_, constant_rate + "--train.tokens=1920")), 0));
  ASSERT_TRUE(ended(run(train(out_, constant_rate)), 0));
  ASSERT_TRUE(ended(run(train(out_, constant_rate + "--train.tokens=1920")), 0));
  const std::vector<json::object> attempts = attempts_of(out_);
  ASSERT_EQ(attempts.size(), 2u);
  EXPECT_EQ(start_step(attempts[1]), kSteps);
  EXPECT_EQ(weights_of(out_), weights_of(whole_));
  EXPECT_EQ(logged_steps(out_), steps_up_to(30));
  EXPECT_EQ(object_in(out_ + "/result.json").at("steps").as_int64(), 30);
}

TEST_F(TrainAgain, KilledWhileSavingContinuesAtTheCheckpointBefore) {
  ASSERT_TRUE(ended(run(train(whole_)), 0));
  for (const char* point : {"checkpoint.before_rename", "checkpoint.after_rename"}) {
    const std::string out = folder_.file(point);
    const Outcome killed = run_command(with_fault(std::string(point) + ":0:2:kill", train(out), 1));
    EXPECT_NE(killed.code, 0) << point;
    ASSERT_TRUE(ended(run(train(out), 1), 0)) << point;
    EXPECT_GE(start_step(attempts_of(out).at(1)), 5) << point;
    expect_equal_runs(whole_, out);
  }
}

TEST(TrainDeterministic, MovesFromFourRanksToTwoWithTheBitsOfOne) {
  const testing::TempDir folder;
  const std::string whole = folder.file("whole"), out = folder.file("out");
  ASSERT_TRUE(ended(run(train(whole, "--deterministic")), 0));
  RunningProgram program("export ORTHANT_FAULT=train.step:0:8:sleep:1; " +
                         testing::orthant_command(train(out, "--deterministic --mesh.data=2"), launcher(4)));
  ASSERT_TRUE(program.wait_until([&] { return logged_steps(out).size() == 7; }));
  program.send(SIGUSR1);
  ASSERT_TRUE(ended(program.wait(), 75));
  ASSERT_TRUE(ended(run(train(out, "--deterministic"), 2), 0));
  EXPECT_EQ(start_step(attempts_of(out).at(1)), 8);
  expect_equal_runs(whole, out);
}

}  // namespace
}  // namespace orthant
