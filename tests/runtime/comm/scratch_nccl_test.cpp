// Memory that a communicator keeps is waited for without the stream of its work, which may be gone.
#include "runtime/comm/scratch_nccl.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "tests/support/nccl_double.h"

namespace orthant::testing {
namespace {

struct Scratch : ::testing::Test {
  Scratch() {
    api.record_event = [this, record = api.record_event](void* event, void* stream) {
      waited_for.push_back(stream);
      record(event, stream);
    };
    own.api = &api;
    own.watchdog = &watchdog;
    link.emplace(own, NcclId{}, 0, 1);
  }
  std::byte* room(int64_t bytes, void* stream) {
    Watchdog::Watch watch = link->begin("test", Dtype::kU8, bytes);
    return scratch().room(watch, bytes, stream);
  }
  void give_back() {
    Watchdog::Watch watch = link->begin("test", Dtype::kU8, 0);
    scratch().give_back(watch);
  }
  NcclScratch& scratch() {
    if (!scratch_) scratch_.emplace(*link);
    return *scratch_;
  }

  static constexpr Deadlines kDeadlines{.startup = std::chrono::seconds(30),
                                        .collective = std::chrono::seconds(30)};
  NcclDouble libraries{1};
  NcclApi api = libraries.api(0);
  Watchdog watchdog{0, kDeadlines, OnDeadline::kThrow};
  NcclRank own;
  std::optional<NcclLink> link;
  std::optional<NcclScratch> scratch_;
  std::vector<void*> waited_for;
  int one = 0, other = 0;  // streams
};

const std::vector<void*> kNothing;
const std::vector<void*> kAllStreams = {nullptr};

TEST_F(Scratch, WorkOfOneStreamFollowsWithoutAWait) {
  std::byte* const first = room(100, &one);
  EXPECT_EQ(room(50, &one), first);
  EXPECT_EQ(waited_for, kNothing);
  give_back();
}

TEST_F(Scratch, WorkOfAnotherStreamWaitsForAll) {
  std::byte* const first = room(100, &one);
  EXPECT_EQ(room(50, &other), first);
  EXPECT_EQ(waited_for, kAllStreams);
  give_back();
}

TEST_F(Scratch, GivingBackWaitsForAll) {
  (void)room(100, &one);
  give_back();
  EXPECT_EQ(waited_for, kAllStreams);
}

TEST_F(Scratch, AtRestOnlyGivingBackWaits) {
  (void)room(100, &one);
  scratch().rest();
  (void)room(100, &other);
  scratch().rest();
  EXPECT_EQ(waited_for, kNothing);
  give_back();
  EXPECT_EQ(waited_for, kAllStreams);
}

}  // namespace
}  // namespace orthant::testing
