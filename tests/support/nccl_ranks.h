// Runs a body on thread ranks whose data plane is the NCCL communicator over a double of the libraries.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "runtime/comm/start_nccl.h"
#include "runtime/comm/world.h"
#include "tests/support/nccl_double.h"

namespace orthant::testing {

inline constexpr Deadlines kNcclDeadlines{.startup = std::chrono::seconds(30),
                                          .collective = std::chrono::seconds(30)};

// Limits so small that most messages are cut and sums are formed piece by piece.
inline constexpr int64_t kCutMessage = 10007;
inline NcclRank cut_messages() {
  NcclRank limits;
  limits.most_count = kCutMessage;
  limits.most_scratch = 1 << 16;
  return limits;
}

// `limits` gives most_count and most_scratch. Expects that no rule of the libraries was broken.
inline void run_nccl_ranks(NcclDouble& nccl, int size, const NcclRank& limits,
                           const std::function<void(World&)>& body) {
  run_thread_ranks(size, [&](World threads) {
    const NcclApi api = nccl.api(threads.rank());
    Watchdog watchdog(threads.rank(), kNcclDeadlines, OnDeadline::kThrow);
    NcclRank own = limits;
    own.api = &api;
    own.watchdog = &watchdog;
    World world = std::move(threads);  // goes before what it uses
    world.data = start_nccl(own, *world.control);
    body(world);
    world.control->barrier();
    world.data->close();
  });
  EXPECT_EQ(nccl.faults(), std::vector<std::string>{});
}

}  // namespace orthant::testing
