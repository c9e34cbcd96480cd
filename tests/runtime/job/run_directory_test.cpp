#include "runtime/job/run_directory.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "launch/config.pb.h"
#include "runtime/comm/world.h"
#include "runtime/job/arguments.h"
#include "runtime/job/config.pb.h"
#include "runtime/job/host.h"
#include "runtime/storage/file.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

namespace json = boost::json;

class RunDirectoryTest : public ::testing::Test {
 protected:
  std::unique_ptr<RunDirectory> open(const std::vector<std::string>& flags = {}, bool fresh = false) {
    const auto schema =
        std::make_shared<const ConfigSchema>("train", *launch::Train::descriptor(), Common::descriptor());
    const Config config = make_config(schema, parse_arguments(*schema, flags), {});
    return RunDirectory::open(out_, config, RunFacts{}, {.fresh = fresh}, *world_.control, log_);
  }
  std::unique_ptr<RunDirectory> open_shared() {
    const auto schema =
        std::make_shared<const ConfigSchema>("train", *launch::Train::descriptor(), Common::descriptor());
    return RunDirectory::open(out_, make_config(schema, {}, {}), RunFacts{}, {.is_shared = true},
                              *world_.control, log_);
  }
  std::string refusal(const std::vector<std::string>& flags) {
    try {
      (void)open(flags);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      return error.what();
    }
    return "";
  }
  json::object run_json() { return json::parse(read_file(out_ + "/run.json")).as_object(); }

  testing::TempDir folder_;
  std::string out_ = folder_.file("run");
  World world_ = make_self_world();
  Log log_{0, LogLevel::kOff};
};

TEST_F(RunDirectoryTest, AFinishedRunGivesItsResultAgain) {
  {
    const auto run = open();
    EXPECT_FALSE(run->is_continued());
    run->begin_attempt("step", 0);
    EXPECT_FALSE(std::filesystem::exists(run->file("result.json")));
    run->finish({{"loss", 0.5}, {"fvu", 0.40911904}});
    run->end(ExitCode::kDone, "finished");
  }
  EXPECT_FALSE(std::filesystem::exists(out_ + "/lock"));
  EXPECT_TRUE(std::filesystem::exists(out_ + "/log/rank-00000.txt"));
  const auto again = open({"--threads=2"});
  ASSERT_TRUE(again->result());
  EXPECT_EQ(again->result()->at("loss"), 0.5);
  EXPECT_EQ(again->result_text(), read_file(out_ + "/result.json"));
  again->end(ExitCode::kDone, "printed");
  EXPECT_EQ(run_json().at("attempts").as_array().size(), 1u);
}

TEST_F(RunDirectoryTest, RaisingTokensContinuesAFinishedRun) {
  open({"--train.tokens=10"})->finish({{"loss", 1}});
  const auto raised = open({"--train.tokens=20"});
  EXPECT_FALSE(raised->result());
  EXPECT_TRUE(raised->is_continued());
  EXPECT_FALSE(std::filesystem::exists(out_ + "/result.json"));
}

TEST_F(RunDirectoryTest, AttemptsAreListed) {
  {
    const auto run = open();
    run->begin_attempt("step", 0);
    run->end(ExitCode::kStopped, "stopped on request");
  }
  { open()->begin_attempt("step", 120); }  // ends without a word, as a killed job does
  const auto third = open();
  third->begin_attempt("step", 200);
  const json::array attempts = run_json().at("attempts").as_array();
  ASSERT_EQ(attempts.size(), 3u);
  EXPECT_EQ(attempts[0].at("end"), "stopped");
  EXPECT_EQ(attempts[1].at("start_step"), 120);
  EXPECT_EQ(attempts[1].at("end"), "killed");
  EXPECT_EQ(attempts[2].at("start_step"), 200);
  EXPECT_TRUE(attempts[2].at("end").is_null());
  EXPECT_EQ(run_json().at("verb"), "train");
}

TEST_F(RunDirectoryTest, AnotherConfigurationIsRefusedAndFreshDiscards) {
  { (void)open({"--sae.k=8"}); }
  const std::string message = refusal({"--sae.k=9"});
  EXPECT_NE(message.find("sae.k: 8 there, 9 here"), std::string::npos) << message;
  std::ofstream(out_ + "/notes.txt") << "keep";
  std::filesystem::create_directory(out_ + "/blocks.0.hook_mlp_out");
  const std::vector<std::string> left = {"metrics.jsonl", "store.json", "shard-000000000000000.bin",
                                         "dictionary.safetensors",
                                         "blocks.0.hook_mlp_out/shard-000000000000000.bin"};
  for (const std::string& name : left) std::ofstream(out_ + "/" + name) << "old";
  const auto fresh = open({"--sae.k=9"}, true);
  EXPECT_FALSE(fresh->is_continued());
  for (const std::string& name : left) EXPECT_FALSE(std::filesystem::exists(out_ + "/" + name)) << name;
  EXPECT_TRUE(std::filesystem::exists(out_ + "/notes.txt"));
}

TEST_F(RunDirectoryTest, AConfigurationMayBeMendedUntilAnAttemptBegins) {
  open({"--init=misspelt"})->end(ExitCode::kIo, "no such file");
  {
    const auto mended = open({"--init=there"});
    mended->begin_attempt("step", 0);
    mended->end(ExitCode::kIo, "the disk is full");
  }
  EXPECT_EQ(run_json().at("attempts").as_array().size(), 2u);
  EXPECT_NE(refusal({"--init=elsewhere"}).find("init: there there, elsewhere here"), std::string::npos);
}

TEST_F(RunDirectoryTest, ASecondJobIsRefusedNamingTheFirst) {
  const auto first = open();
  const std::string message = refusal({});
  EXPECT_NE(message.find(host_name() + ":" + std::to_string(getpid())), std::string::npos) << message;
  EXPECT_TRUE(std::filesystem::exists(out_ + "/lock"));
}

TEST_F(RunDirectoryTest, JobsThatShareItAreAllListed) {
  const auto first = open_shared();
  const auto second = open_shared();
  EXPECT_FALSE(std::filesystem::exists(out_ + "/lock"));
  second->begin_attempt("cell", 3);
  first->begin_attempt("cell", 0);
  first->record("note", "of the first");
  first->finish({{"cells", 4}});
  first->end(ExitCode::kDone, "finished");
  EXPECT_TRUE(run_json().at("attempts").at(1).at("end").is_null()) << "the second is at work";
  second->finish({{"cells", 4}});
  second->end(ExitCode::kStopped, "stopped on request");
  const json::object run = run_json();
  EXPECT_EQ(run.at("attempts").at(0).at("start_cell"), 0);
  EXPECT_EQ(run.at("attempts").at(0).at("end").as_string(), "done");
  EXPECT_EQ(run.at("attempts").at(1).at("start_cell"), 3);
  EXPECT_EQ(run.at("attempts").at(1).at("end").as_string(), "stopped");
  EXPECT_EQ(run.at("note").as_string(), "of the first");
  EXPECT_TRUE(open_shared()->result().has_value());
}

TEST_F(RunDirectoryTest, ALockIsTakenWhenItIsFreeAndNotBefore) {
  std::filesystem::create_directory(out_);
  auto held = DirectoryLock::take_if_free(out_);
  ASSERT_NE(held, nullptr);
  EXPECT_EQ(DirectoryLock::take_if_free(out_), nullptr);
  EXPECT_THROW((void)DirectoryLock::take_in_turn(out_, std::chrono::milliseconds(20)), Error);
  std::jthread leaves([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    held.reset();
  });
  EXPECT_NE(DirectoryLock::take_in_turn(out_), nullptr);
}

TEST_F(RunDirectoryTest, ACallerMayHoldTheLockForLonger) {
  std::filesystem::create_directory(out_);
  const auto held = DirectoryLock::take_if_free(out_);
  const auto schema =
      std::make_shared<const ConfigSchema>("train", *launch::Train::descriptor(), Common::descriptor());
  const auto run = RunDirectory::open(out_, make_config(schema, {}, {}), RunFacts{}, {.is_held = true},
                                      *world_.control, log_);
  run->end(ExitCode::kDone, "finished");
  EXPECT_TRUE(std::filesystem::exists(out_ + "/lock"));
}

TEST_F(RunDirectoryTest, ALockOfADeadProcessIsTaken) {
  std::filesystem::create_directory(out_);
  const std::vector<std::string> dead = {
      host_name() + " 4194305 " + boot_id() + " 1\n",                           // no such process
      host_name() + " " + std::to_string(getpid()) + " " + boot_id() + " 1\n",  // a later process
      host_name() + " " + std::to_string(getpid()) + " another-boot " + process_start(getpid()) + "\n",
      "cut short",
  };
  for (const std::string& holder : dead) {
    std::ofstream(out_ + "/lock") << holder;
    EXPECT_NO_THROW((void)open()) << holder;
  }
}

// Killed jobs stay in the list of processes until whoever started them has asked.
TEST_F(RunDirectoryTest, ALockOfAKilledProcessThatNobodyAskedAboutIsTaken) {
  std::filesystem::create_directory(out_);
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t killed = fork();
  if (killed == 0) {
    const bool written = write(ready[1], "x", 1) == 1;
    pause();
    _exit(written ? 0 : 1);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const std::string holder =
      host_name() + " " + std::to_string(killed) + " " + boot_id() + " " + process_start(killed);
  kill(killed, SIGKILL);
  siginfo_t state{};
  waitid(P_PID, static_cast<id_t>(killed), &state, WEXITED | WNOWAIT);
  std::ofstream(out_ + "/lock") << holder << "\n";
  EXPECT_NO_THROW((void)open());
  waitpid(killed, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
}

TEST_F(RunDirectoryTest, ALostLockIsNotGivenBack) {
  std::filesystem::create_directory(out_);
  auto held = DirectoryLock::take_if_free(out_);
  std::ofstream(out_ + "/lock", std::ios::trunc) << "elsewhere 12 boot 1\n";
  held.reset();
  EXPECT_TRUE(std::filesystem::exists(out_ + "/lock"));
}

TEST_F(RunDirectoryTest, PreparesOnceItIsKnownToBeItsOwn) {
  int prepared = 0;
  const auto schema =
      std::make_shared<const ConfigSchema>("train", *launch::Train::descriptor(), Common::descriptor());
  const auto open_with = [&](const std::vector<std::string>& flags) {
    return RunDirectory::open(out_, make_config(schema, parse_arguments(*schema, flags), {}), RunFacts{},
                              {.prepare = [&] { ++prepared; }}, *world_.control, log_);
  };
  {
    const auto run = open({});
    run->begin_attempt("step", 0);
    run->finish({{"x", 1}});
    run->end(ExitCode::kDone, "finished");
  }
  EXPECT_THROW((void)open_with({"--seed=3"}), Error);
  EXPECT_EQ(prepared, 0);
  EXPECT_TRUE(open_with({})->result().has_value());
  EXPECT_EQ(prepared, 1);
}

TEST_F(RunDirectoryTest, ALockOfAnotherHostLivesByItsHeartbeat) {
  std::filesystem::create_directory(out_);
  std::ofstream(out_ + "/lock") << "elsewhere 12 boot 1\n";
  EXPECT_NE(refusal({}).find("elsewhere:12"), std::string::npos);
  std::filesystem::last_write_time(out_ + "/lock",
                                   std::filesystem::file_time_type::clock::now() - 2 * kLockIsDead);
  EXPECT_NO_THROW((void)open());
}

TEST_F(RunDirectoryTest, RanksShareOneDirectory) {
  run_thread_ranks(3, [&](World world) {
    Log log(world.rank(), LogLevel::kOff);
    const auto schema =
        std::make_shared<const ConfigSchema>("train", *launch::Train::descriptor(), Common::descriptor());
    const Config config = make_config(schema, {}, {});
    const auto run = RunDirectory::open(out_, config, RunFacts{}, {}, *world.control, log);
    run->finish({{"x", 1}});
    run->end(ExitCode::kDone, "finished");
  });
  EXPECT_EQ(run_json().at("world"), 3);
  EXPECT_EQ(run_json().at("hosts").as_array().size(), 3u);
  EXPECT_TRUE(std::filesystem::exists(out_ + "/log/rank-00002.txt"));
}

}  // namespace
}  // namespace orthant
