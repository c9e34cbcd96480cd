#include "runtime/comm/watchdog.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using std::chrono::milliseconds;

boost::json::object record_in(const testing::TempDir& folder, const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(folder.file(name)).rdbuf();
  return boost::json::parse(text.str()).as_object();
}

TEST(Watchdog, EndsTheProcessWhenTheDeadlinePasses) {
  const testing::TempDir folder;
  EXPECT_EXIT(
      {
        Watchdog watchdog(3, {milliseconds(100), milliseconds(100)}, OnDeadline::kExit);
        watchdog.recorder().set_folder(folder.path().string());
        const auto watch = watchdog.watch({"all_gather", Dtype::kBF16, 5, 4});
        std::this_thread::sleep_for(std::chrono::seconds(30));
      },
      ::testing::ExitedWithCode(71), "rank 3 gave up all_gather of 5 bf16 elements among 4 ranks");
  const auto record = record_in(folder, "flight-00003.json");
  EXPECT_EQ(record.at("rank").as_int64(), 3);
  const auto& entry = record.at("entries").as_array().back().as_object();
  EXPECT_EQ(entry.at("operation").as_string(), "all_gather");
  EXPECT_EQ(entry.at("duration_ms").to_number<double>(), -1.0);
}

TEST(Watchdog, LetsOperationsInTimePass) {
  Watchdog watchdog(0, {milliseconds(200), milliseconds(200)}, OnDeadline::kExit);
  for (int i = 0; i < 5; ++i) {
    const auto watch = watchdog.watch({"barrier"});
    std::this_thread::sleep_for(milliseconds(60));  // together longer than the deadline
  }
}

TEST(Watchdog, LeavesTimeForARankThatLooksAtTheClockItself) {
  Watchdog watchdog(0, {milliseconds(50), milliseconds(50)}, OnDeadline::kExit);
  const auto watch = watchdog.watch({"wait"}, milliseconds(60000));
  std::this_thread::sleep_for(milliseconds(250));
  EXPECT_GT(steady_now_ns(), watch.expiry_ns());
}

TEST(Watchdog, OperationThatIsLeftOpenIsNotWatchedAndNotEnded) {
  Watchdog watchdog(0, {milliseconds(50), milliseconds(50)}, OnDeadline::kExit);
  int64_t sequence = 0;
  {
    auto watch = watchdog.watch({"all_reduce"});
    sequence = watch.leave_open();
    std::this_thread::sleep_for(milliseconds(250));
  }
  EXPECT_EQ(watchdog.recorder().entry(sequence).ended_ns, 0);
  watchdog.recorder().end(sequence, 7);
  EXPECT_EQ(watchdog.recorder().entry(sequence).ended_ns, 7);
}

TEST(FlightRecorder, LateEndLeavesTheEntryThatTookItsPlace) {
  const auto recorder = std::make_unique<FlightRecorder>(0);
  for (int64_t i = 0; i <= FlightRecorder::kEntries; ++i) recorder->begin({"shift"}, i);
  recorder->end(0, 9);
  EXPECT_EQ(recorder->entry(FlightRecorder::kEntries).ended_ns, 0);
}

TEST(FlightRecorder, KeepsTheNewestOperationsInOrder) {
  const testing::TempDir folder;
  const auto recorder = std::make_unique<FlightRecorder>(7);
  recorder->set_folder(folder.path().string());
  const int64_t total = FlightRecorder::kEntries + 10;
  for (int64_t i = 0; i < total; ++i) {
    recorder->end(recorder->begin({"shift", Dtype::kF32, i, 2}, 1000 * i), 1000 * i + 500);
  }
  recorder->write(1000 * total);
  const auto record = record_in(folder, "flight-00007.json");
  const auto& entries = record.at("entries").as_array();
  ASSERT_EQ(static_cast<int64_t>(entries.size()), FlightRecorder::kEntries);
  EXPECT_EQ(record.at("operations").as_int64(), total);
  EXPECT_EQ(entries.front().at("sequence").as_int64(), 10);
  EXPECT_EQ(entries.back().at("elements").as_int64(), total - 1);
  EXPECT_DOUBLE_EQ(entries.back().at("duration_ms").to_number<double>(), 0.0005);
}

}  // namespace
}  // namespace orthant
