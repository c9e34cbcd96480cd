// What is particular to NCCL, over a double of the libraries. The contract is run by communicator_test.cpp.
#include "runtime/comm/communicator_nccl.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/nccl_ranks.h"

namespace orthant::testing {
namespace {

int64_t occurrences(const std::vector<std::string>& calls, const std::string& name) {
  return std::count(calls.begin(), calls.end(), name);
}

TEST(NcclCommunicator, SaysWhatItIs) {
  NcclDouble libraries(2);
  run_nccl_ranks(libraries, 2, {}, [](World& world) {
    EXPECT_EQ(world.data->kind(), "nccl");
    EXPECT_EQ(world.data->device(), (Device{DeviceKind::kCuda, 0}));
  });
}

TEST(NcclCommunicator, LeavesWorkOnMemoryOfTheDeviceToTheStream) {
  NcclDouble libraries(3);
  run_nccl_ranks(libraries, 3, {}, [&](World& world) {
    const NcclApi api = libraries.api(world.rank());
    const int64_t elements = 100;
    auto* const data = static_cast<float*>(api.allocate(0, elements * 4));
    Stream stream;
    std::fill_n(data, elements, static_cast<float>(world.rank() + 1));
    for (int i = 0; i < 3; ++i) world.data->all_reduce(data, elements, Dtype::kF32, ReduceOp::kSum, stream);
    world.data->wait(stream);
    EXPECT_EQ(std::count(data, data + elements, 54.0f), elements);  // (1 + 2 + 3) * 3 * 3
    world.control->barrier();
    api.release(0, data);
  });
}

TEST(NcclCommunicator, AsksNcclForWhatItReducesAndDoesTheRestItself) {
  EXPECT_TRUE(nccl_reduces(Dtype::kF32, ReduceOp::kSum));
  EXPECT_TRUE(nccl_reduces(Dtype::kI64, ReduceOp::kSum));
  EXPECT_TRUE(nccl_reduces(Dtype::kBF16, ReduceOp::kMax));
  for (const Dtype dtype : {Dtype::kBF16, Dtype::kF16, Dtype::kI16, Dtype::kU16}) {
    EXPECT_FALSE(nccl_reduces(dtype, ReduceOp::kSum)) << name_of(dtype);
  }
  EXPECT_FALSE(nccl_reduces(Dtype::kU64, ReduceOp::kBitOr));

  NcclDouble libraries(2);
  run_nccl_ranks(libraries, 2, {}, [](World& world) {
    Stream stream;
    std::vector<int16_t> data(20000, 300);
    world.data->all_reduce(data.data(), 20000, Dtype::kI16, ReduceOp::kSum, stream);
    EXPECT_EQ(std::count(data.begin(), data.end(), 600), 20000);
  });
  EXPECT_EQ(occurrences(libraries.calls(0), "all_reduce"), 0);
}

TEST(NcclCommunicator, CutsWhatIsLongerThanACallTakes) {
  NcclDouble libraries(2);
  run_nccl_ranks(libraries, 2, cut_messages(), [](World& world) {
    Stream stream;
    std::vector<float> data(2 * kCutMessage + 1);
    world.data->all_reduce(data.data(), 2 * kCutMessage + 1, Dtype::kF32, ReduceOp::kSum, stream);
  });
  EXPECT_EQ(occurrences(libraries.calls(0), "all_reduce"), 3);
}

// 1,100 ranks exchange with 2,198 operations each, more than a group takes. One rank of them is looked at:
// its peers are not needed for the count of its calls.
TEST(NcclCommunicator, SplitsGroupsThatNcclCannotTake) {
  constexpr int kSize = 1100;
  NcclDouble libraries(1);
  NcclApi api = libraries.api(0);
  std::vector<int64_t> groups;
  const auto accept = [&](auto&&...) {
    ++groups.back();
    return NcclStatus::kSuccess;
  };
  api.async_error = [](NcclComm*, NcclStatus& state) {
    state = NcclStatus::kSuccess;
    return NcclStatus::kSuccess;
  };
  api.group_start = [&] {
    groups.push_back(0);
    return NcclStatus::kSuccess;
  };
  api.group_end = [] { return NcclStatus::kInProgress; };
  api.send = accept;
  api.receive = accept;
  Watchdog watchdog(0, kNcclDeadlines, OnDeadline::kThrow);
  NcclRank own;
  own.api = &api;
  own.watchdog = &watchdog;
  const auto group = make_nccl_communicator(own, NcclId{}, 0, kSize);
  std::vector<uint8_t> send(kSize), receive(kSize);
  const std::vector<int64_t> counts(kSize, 1);
  Stream stream;
  group->all_to_all(send.data(), counts, receive.data(), counts, Dtype::kU8, stream);
  EXPECT_EQ(groups.size(), 2u);
  EXPECT_EQ(std::reduce(groups.begin(), groups.end()), 2 * (kSize - 1));
  for (const int64_t operations : groups) EXPECT_LT(operations, 2048);
}

TEST(NcclCommunicator, RegistersItsMemoryAndTakesItBackBeforeTheEnd) {
  NcclDouble libraries(2);
  run_nccl_ranks(libraries, 2, {}, [](World& world) {
    Stream stream;
    float value = 1.0f;
    world.data->all_reduce(&value, 1, Dtype::kF32, ReduceOp::kSum, stream);
  });
  const std::vector<std::string> calls = libraries.calls(1);
  const auto registered = std::find(calls.begin(), calls.end(), "register_buffer");
  const auto returned = std::find(registered, calls.end(), "deregister_buffer");
  const auto finalized = std::find(returned, calls.end(), "finalize");
  const auto destroyed = std::find(finalized, calls.end(), "destroy");
  EXPECT_NE(destroyed, calls.end());
  EXPECT_EQ(occurrences(calls, "abort"), 0);
}

TEST(NcclCommunicator, GroupThatIsNotClosedIsAborted) {
  NcclDouble libraries(2);
  run_nccl_ranks(libraries, 2, {}, [](World& world) {
    const auto group = world.data->split(0, world.rank());
    EXPECT_EQ(group->size(), 2);
  });
  EXPECT_EQ(occurrences(libraries.calls(0), "abort"), 1);
  EXPECT_EQ(occurrences(libraries.calls(0), "destroy"), 1) << "of the world";
}

}  // namespace
}  // namespace orthant::testing
