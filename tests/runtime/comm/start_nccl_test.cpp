#include "runtime/comm/start_nccl.h"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>
#include <vector>

#include "runtime/comm/world.h"
#include "tests/support/code_of.h"
#include "tests/support/nccl_ranks.h"
#include "tests/support/temp_dir.h"

namespace orthant::testing {
namespace {

std::string refusal_of(const std::vector<NcclSeat>& seats) {
  try {
    require_fitting_seats(seats);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    return error.what();
  }
  return "";
}

TEST(NcclStart, WritesVersionsAsPeopleDo) {
  EXPECT_EQ(nccl_version_text(22809), "2.28.9");
  EXPECT_EQ(nccl_version_text(kOldestNccl), "2.19.0");
}

TEST(NcclStart, RefusesSeatsThatDoNotFit) {
  EXPECT_EQ(refusal_of({{22809, 2, "a"}, {22809, 2, "b"}}), "");
  EXPECT_EQ(
      refusal_of({{22809, 2, "a"}, {21805, 2, "b"}}),
      "NCCL 2.18.5 of rank 1 on b is too old (2.19.0 or later is needed) See which libnccl.so.2 the program "
      "loads: LD_LIBRARY_PATH.");
  EXPECT_NE(
      refusal_of({{22809, 2, "a"}, {22203, 2, "b"}}).find("2.28.9 of rank 0 on a, 2.22.3 of rank 1 on b"),
      std::string::npos);
  EXPECT_NE(refusal_of({{22809, 2, "a"}, {22809, 2, "a"}, {22809, 1, "b"}})
                .find("rank 0 on a sees 2, rank 2 on b sees 1"),
            std::string::npos);
  EXPECT_NE(refusal_of({{22809, 2, "a", true}, {22809, 2, "b", false}}).find("NCCL_LAUNCH_ORDER_IMPLICIT"),
            std::string::npos);
}

TEST(NcclStart, EveryRankRefusesWhatOneSees) {
  NcclDouble libraries(3);
  std::vector<std::string> texts(3);
  run_thread_ranks(3, [&](World world) {
    NcclApi api = libraries.api(world.rank());
    if (world.rank() == 2) api.device_count = [] { return 4; };
    NcclRank own;
    own.api = &api;
    try {
      (void)start_nccl(own, *world.control);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      texts[static_cast<size_t>(world.rank())] = error.what();
    }
  });
  EXPECT_NE(texts[0].find("ranks see different numbers of GPUs"), std::string::npos) << texts[0];
  EXPECT_EQ(texts[1], texts[0]);
  EXPECT_EQ(texts[2], texts[0]);
}

TEST(NcclStart, EveryRankThrowsWhenOneHasNoNccl) {
  NcclDouble libraries(2);
  int refused = 0;
  std::mutex mutex;
  run_thread_ranks(2, [&](World world) {
    NcclApi api = libraries.api(world.rank());
    if (world.rank() == 1) api.get_version = [](int&) { return NcclStatus::kSystemError; };
    NcclRank own;
    own.api = &api;
    try {
      (void)start_nccl(own, *world.control);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kDevice);
      EXPECT_NE(std::string(error.what()).find("rank 1 failed to look for NCCL: ncclGetVersion failed"),
                std::string::npos)
          << error.what();
      const std::lock_guard lock(mutex);
      ++refused;
    }
  });
  EXPECT_EQ(refused, 2);
}

TEST(NcclStart, MeetsByAFileWhereThereIsNoControlGroup) {
  const TempDir folder;
  NcclDouble libraries(2);
  run_thread_ranks(2, [&](World world) {
    const NcclApi api = libraries.api(world.rank());
    Watchdog watchdog(world.rank(), kNcclDeadlines, OnDeadline::kThrow);
    NcclRank own;
    own.api = &api;
    own.watchdog = &watchdog;
    const auto group =
        start_nccl_by_file(own, folder.file("id"), world.rank(), 2, std::chrono::milliseconds(20000));
    Stream stream;
    int64_t sum = world.rank() + 1;
    group->all_reduce(&sum, 1, Dtype::kI64, ReduceOp::kSum, stream);
    EXPECT_EQ(sum, 3);
    group->close();
  });
  EXPECT_EQ(libraries.faults(), std::vector<std::string>{});
}

TEST(NcclStart, RefusesTheFileOfAnEarlierRunAndGivesUpOneThatDoesNotCome) {
  const TempDir folder;
  NcclDouble libraries(2);
  const NcclApi api = libraries.api(0);
  NcclRank own;
  own.api = &api;
  const std::chrono::milliseconds soon(30);
  std::ofstream(folder.file("old")) << "id";
  EXPECT_EQ(code_of([&] { (void)start_nccl_by_file(own, folder.file("old"), 0, 2, soon); }),
            ExitCode::kConfig);
  EXPECT_EQ(code_of([&] { (void)start_nccl_by_file(own, folder.file("none"), 1, 2, soon); }),
            ExitCode::kPeer);
}

}  // namespace
}  // namespace orthant::testing
