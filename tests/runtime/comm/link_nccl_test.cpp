// The life of an NCCL communicator with scripted vendor calls: it ends in time, in the right order of calls.
#include "runtime/comm/link_nccl.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/comm/communicator_nccl.h"
#include "tests/support/nccl_double.h"
#include "tests/support/temp_dir.h"

namespace orthant::testing {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// One rank whose vendor calls a test replaces before it starts the link.
struct Alone {
  explicit Alone(milliseconds deadline = milliseconds(30000))
      : watchdog(0, {.startup = deadline, .collective = deadline}, OnDeadline::kThrow) {
    watchdog.recorder().set_folder(folder.path().string());
    own.api = &api;
    own.watchdog = &watchdog;
    own.abort_deadline = milliseconds(200);
  }
  [[nodiscard]] std::unique_ptr<Communicator> start(int size = 1) {
    return make_nccl_communicator(own, NcclId{}, 0, size);
  }
  // From the next poll on.
  void report(NcclStatus state) {
    api.async_error = [state](NcclComm*, NcclStatus& now) {
      now = state;
      return NcclStatus::kSuccess;
    };
  }
  [[nodiscard]] int64_t count(const std::string& call) {
    const std::vector<std::string> calls = libraries.calls(0);
    return std::count(calls.begin(), calls.end(), call);
  }
  [[nodiscard]] bool wrote_record() const {
    return std::filesystem::exists(folder.file("flight-00000.json"));
  }

  TempDir folder;
  NcclDouble libraries{1};
  NcclApi api = libraries.api(0);
  Watchdog watchdog;
  NcclRank own;
  Stream stream;
  float value = 1.0f;
};

// The code and the text of what `work` throws.
struct Thrown {
  ExitCode code = ExitCode::kDone;
  std::string text;
};
Thrown thrown_by(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {};
}

TEST(NcclLink, PollsUntilTheCommunicatorIsUp) {
  Alone rank;
  rank.libraries.set_polls(5);
  int progress = 0;
  rank.own.progress = [&] { ++progress; };
  const auto group = rank.start();
  EXPECT_GE(progress, 5);
  group->close();
  const std::vector<std::string> calls = rank.libraries.calls(0);
  EXPECT_EQ(calls, (std::vector<std::string>{"init_rank", "finalize", "destroy"}));
}

TEST(NcclLink, GivesUpAStartThatNeverEnds) {
  Alone rank(milliseconds(150));
  const auto start = Clock::now();
  const Thrown thrown = thrown_by([&] { (void)rank.start(2); });
  EXPECT_EQ(thrown.code, ExitCode::kPeer);
  EXPECT_NE(thrown.text.find("gave up start of NCCL"), std::string::npos) << thrown.text;
  EXPECT_NE(thrown.text.find("among 2 ranks after 0.1 s"), std::string::npos) << thrown.text;
  EXPECT_LT(Clock::now() - start, milliseconds(3000));
  EXPECT_EQ(rank.count("abort"), 1);
  EXPECT_TRUE(rank.wrote_record());
  EXPECT_EQ(rank.libraries.faults(), std::vector<std::string>{});
}

TEST(NcclLink, ErrorOfTheFirstCallHasTheTextsOfNcclAndAFittingCode) {
  struct Case {
    NcclStatus status;
    ExitCode code;
  };
  for (const Case& each : {Case{NcclStatus::kUnhandledCudaError, ExitCode::kDevice},
                           Case{NcclStatus::kInvalidUsage, ExitCode::kConfig},
                           Case{NcclStatus::kSystemError, ExitCode::kPeer}}) {
    Alone rank;
    rank.api.init_rank = [&](NcclComm*&, int, const NcclId&, int) { return each.status; };
    rank.api.error_string = [](NcclStatus) { return std::string("unhandled cuda error"); };
    rank.api.last_error = [](NcclComm*) { return std::string("the driver is too old"); };
    const Thrown thrown = thrown_by([&] { (void)rank.start(); });
    EXPECT_EQ(thrown.code, each.code);
    EXPECT_NE(thrown.text.find("unhandled cuda error: the driver is too old"), std::string::npos)
        << thrown.text;
    EXPECT_EQ(rank.count("abort"), 0) << "there is no communicator yet";
  }
}

TEST(NcclLink, ErrorWhileItComesUpAbortsAndThrows) {
  Alone rank;
  rank.report(NcclStatus::kSystemError);
  const Thrown thrown = thrown_by([&] { (void)rank.start(); });
  EXPECT_EQ(thrown.code, ExitCode::kPeer);
  EXPECT_NE(thrown.text.find("NCCL does not start"), std::string::npos) << thrown.text;
  EXPECT_EQ(rank.count("abort"), 1);
}

TEST(NcclLink, ErrorOfACallNamesTheOperationAndAborts) {
  Alone rank;
  const auto group = rank.start();
  rank.api.all_reduce = [](auto&&...) { return NcclStatus::kInvalidArgument; };
  const Thrown thrown =
      thrown_by([&] { group->all_reduce(&rank.value, 1, Dtype::kF32, ReduceOp::kSum, rank.stream); });
  EXPECT_EQ(thrown.code, ExitCode::kPeer);
  EXPECT_NE(thrown.text.find("NCCL failed in all_reduce of 1 f32 elements among 1 ranks"), std::string::npos)
      << thrown.text;
  EXPECT_NE(thrown.text.find("status 4: the last error of the double"), std::string::npos) << thrown.text;
  EXPECT_EQ(rank.count("abort"), 1);
  EXPECT_TRUE(rank.wrote_record());
}

TEST(NcclLink, ErrorThatNcclReportsLaterEndsTheWait) {
  Alone rank;
  const auto group = rank.start();
  rank.api.event_done = [](void*) { return false; };
  int polls = 0;
  rank.api.async_error = [&](NcclComm*, NcclStatus& state) {
    state = ++polls < 7 ? NcclStatus::kSuccess : NcclStatus::kRemoteError;
    return NcclStatus::kSuccess;
  };
  const Thrown thrown = thrown_by([&] { group->wait(rank.stream); });
  EXPECT_EQ(thrown.code, ExitCode::kPeer);
  EXPECT_NE(thrown.text.find("status 6"), std::string::npos) << thrown.text;
  EXPECT_EQ(polls, 7);
  EXPECT_EQ(rank.count("abort"), 1);
}

TEST(NcclLink, NothingIsCalledAfterAnAbort) {
  Alone rank;
  const auto group = rank.start();
  group->abort();
  group->abort();
  const size_t calls = rank.libraries.calls(0).size();
  EXPECT_EQ(rank.count("abort"), 1);
  bool polled = false;
  rank.api.async_error = [&](NcclComm*, NcclStatus&) {
    polled = true;
    return NcclStatus::kSuccess;
  };
  for (const auto& work : std::vector<std::function<void()>>{
           [&] { group->all_reduce(&rank.value, 1, Dtype::kF32, ReduceOp::kSum, rank.stream); },
           [&] { group->wait(rank.stream); }, [&] { (void)group->split(0, 0); }, [&] { group->close(); }}) {
    const Thrown thrown = thrown_by(work);
    EXPECT_EQ(thrown.code, ExitCode::kPeer);
    EXPECT_NE(thrown.text.find("the communicator was aborted"), std::string::npos) << thrown.text;
  }
  EXPECT_FALSE(polled);
  EXPECT_EQ(rank.libraries.calls(0).size(), calls);
}

TEST(NcclLink, AbortByAnotherThreadEndsAWait) {
  Alone rank;
  const auto group = rank.start();
  rank.api.event_done = [](void*) { return false; };
  std::atomic<bool> waits{false};
  rank.own.progress = [] {};
  std::thread other([&] {
    while (!waits) std::this_thread::yield();
    std::this_thread::sleep_for(milliseconds(20));
    group->abort();
  });
  waits = true;
  const Thrown thrown = thrown_by([&] { group->wait(rank.stream); });
  other.join();
  EXPECT_EQ(thrown.code, ExitCode::kPeer);
  EXPECT_NE(thrown.text.find("the communicator was aborted"), std::string::npos) << thrown.text;
  EXPECT_EQ(rank.count("abort"), 1);
  EXPECT_EQ(rank.libraries.faults().size(), 1u) << "the event of the wait that was left";
}

TEST(NcclLink, OperationThatIsNeverDoneIsNamedWhenItsDeadlinePasses) {
  Alone rank(milliseconds(150));
  const auto group = rank.start();
  auto* const data = static_cast<float*>(rank.api.allocate(0, 48));
  rank.api.event_done = [](void*) { return false; };
  group->all_reduce(data, 12, Dtype::kF32, ReduceOp::kSum, rank.stream);
  const Thrown thrown = thrown_by([&] { group->wait(rank.stream); });
  EXPECT_EQ(thrown.code, ExitCode::kPeer);
  EXPECT_NE(thrown.text.find("gave up all_reduce of 12 f32 elements"), std::string::npos) << thrown.text;
  rank.api.release(0, data);
}

TEST(NcclLink, FlightRecordKeepsAnOperationOpenUntilItsStreamHasDoneIt) {
  Alone rank;
  const auto group = rank.start();
  auto* const data = static_cast<float*>(rank.api.allocate(0, 48));
  bool done = false;
  rank.api.event_done = [&](void*) { return done; };
  group->all_reduce(data, 12, Dtype::kF32, ReduceOp::kSum, rank.stream);
  EXPECT_EQ(rank.watchdog.recorder().entry(1).ended_ns, 0);
  done = true;
  group->wait(rank.stream);
  EXPECT_NE(rank.watchdog.recorder().entry(1).ended_ns, 0);
  group->close();
  rank.api.release(0, data);
}

TEST(NcclLink, AbortThatHangsIsLeftAfterItsDeadline) {
  Alone rank;
  const auto group = rank.start();
  struct Gate {
    std::mutex mutex;
    std::condition_variable opened;
    bool is_open = false;
    bool is_left = false;
  };
  const auto gate = std::make_shared<Gate>();
  rank.api.abort = [gate](NcclComm*) {
    std::unique_lock lock(gate->mutex);
    gate->opened.wait(lock, [&] { return gate->is_open; });
    gate->is_left = true;
    gate->opened.notify_all();
    return NcclStatus::kSuccess;
  };
  rank.api.group_end = [] { return NcclStatus::kInternalError; };
  const auto start = Clock::now();
  const Thrown thrown =
      thrown_by([&] { group->all_reduce(&rank.value, 1, Dtype::kF32, ReduceOp::kSum, rank.stream); });
  const auto taken = Clock::now() - start;
  EXPECT_EQ(thrown.code, ExitCode::kPeer);
  EXPECT_GE(taken, milliseconds(200));
  EXPECT_LT(taken, milliseconds(2000));
  std::unique_lock lock(gate->mutex);
  gate->is_open = true;
  gate->opened.notify_all();
  gate->opened.wait(lock, [&] { return gate->is_left; });
}

// As a process of a job: exit code 71, the cause on standard error, NCCL aborted.
TEST(NcclLinkDeathTest, FailureEndsTheProcessWithSeventyOne) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(
      {
        NcclDouble libraries(1);
        NcclApi api = libraries.api(0);
        Watchdog watchdog(0, {.startup = milliseconds(100), .collective = milliseconds(100)},
                          OnDeadline::kExit);
        NcclRank own;
        own.api = &api;
        own.watchdog = &watchdog;
        own.abort_deadline = milliseconds(500);
        api.abort = [](NcclComm*) {
          std::this_thread::sleep_for(std::chrono::seconds(60));
          return NcclStatus::kSuccess;
        };
        const auto group = make_nccl_communicator(own, NcclId{}, 0, 2);
      },
      ::testing::ExitedWithCode(71), "orthant: rank 0: gave up start of NCCL of 0 u8 elements among 2 ranks");
}

}  // namespace
}  // namespace orthant::testing
