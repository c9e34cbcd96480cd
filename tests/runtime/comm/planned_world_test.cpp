// What a planned rank counts is what a real one sends, and it decides nothing.
#include "runtime/comm/planned_world.h"

#include <gtest/gtest.h>

#include <vector>

#include "runtime/core/error.h"
#include "tests/support/code_of.h"

namespace orthant {
namespace {

// The same calls with counts that differ between ranks, odd and even, small and large.
void exchange(Communicator& group, float* send, float* receive) {
  Stream stream;
  const int size = group.size();
  for (const int64_t elements : {7, 9001}) {
    group.all_reduce(send, elements, Dtype::kF32, ReduceOp::kSum, stream);
    group.reduce_scatter(send, receive, elements, Dtype::kF32, ReduceOp::kSum, stream);
    group.all_gather(send, receive, elements, Dtype::kF32, stream);
    group.broadcast(send, elements, Dtype::kF32, size - 1, stream);
    group.shift(send, receive, elements, Dtype::kF32, 1, stream);
    std::vector<int64_t> uneven, to_all, from_all;
    for (int r = 0; r < size; ++r) {
      uneven.push_back(elements + r);
      to_all.push_back(elements + 10 * group.rank() + r);
      from_all.push_back(elements + 10 * r + group.rank());
    }
    group.all_gather_uneven(send, receive, uneven, Dtype::kF32, stream);
    group.all_to_all(send, to_all, receive, from_all, Dtype::kF32, stream);
  }
}

TEST(PlannedWorld, CountsWhatARealRankSends) {
  for (const int size : {1, 2, 3, 4}) {
    run_thread_ranks(size, [&](World world) {
      std::vector<float> send(50000, 1.0f), receive(50000);
      exchange(*world.data, send.data(), receive.data());
      PlannedCommunicator planned(size, world.rank());
      exchange(planned, nullptr, nullptr);
      const Traffic& real = world.data->traffic();
      EXPECT_EQ(planned.traffic().all_reduce, real.all_reduce) << size;
      EXPECT_EQ(planned.traffic().reduce_scatter, real.reduce_scatter) << size;
      EXPECT_EQ(planned.traffic().all_gather, real.all_gather) << size;
      EXPECT_EQ(planned.traffic().broadcast, real.broadcast) << size;
      EXPECT_EQ(planned.traffic().all_to_all, real.all_to_all) << size;
      EXPECT_EQ(planned.traffic().shift, real.shift) << size;
      EXPECT_EQ(planned.calls(), size == 1 ? 0 : 14);
    });
  }
}

TEST(PlannedWorld, HasTheGroupsOfItsMesh) {
  constexpr MeshShape kMesh{.data = 3, .dictionary = 2};
  run_thread_ranks(6, [&](World world) {
    const Grid grid = make_grid(*world.data, kMesh);
    const PlannedRank planned = make_planned_rank(kMesh, world.rank());
    EXPECT_EQ(planned.world.rank(), world.rank());
    EXPECT_EQ(planned.world.size(), world.size());
    EXPECT_EQ(planned.grid.dictionary->rank(), grid.dictionary->rank());
    EXPECT_EQ(planned.grid.dictionary->size(), grid.dictionary->size());
    EXPECT_EQ(planned.grid.data->rank(), grid.data->rank());
    EXPECT_EQ(planned.grid.data->size(), grid.data->size());
  });
}

TEST(PlannedWorld, HasNobodyToAgreeWith) {
  const PlannedRank planned = make_planned_rank({.data = 1, .dictionary = 2}, 1);
  ControlGroup& control = *planned.world.control;
  const auto refuses = [](const auto& call) { return testing::code_of(call) == ExitCode::kInternal; };
  EXPECT_TRUE(refuses([&] { control.barrier(); }));
  EXPECT_TRUE(refuses([&] { (void)control.sum(1); }));
  EXPECT_TRUE(refuses([&] { (void)control.bit_or(1); }));
  EXPECT_TRUE(refuses([&] { (void)planned.world.data->split(0, 0); }));
}

}  // namespace
}  // namespace orthant
