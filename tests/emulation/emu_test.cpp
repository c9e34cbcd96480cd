// The emulator itself, on kernels that are right and on kernels that are wrong in one way.
#include "tests/emulation/emu.h"

#include <gtest/gtest.h>

#include <numeric>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/row.cuh"
#include "runtime/core/error.h"
#include "tests/emulation/runs.h"

namespace orthant::kernels {
namespace {

using ::orthant::emulation::EmulationError;
using ::orthant::testing::choose_order;
using ::orthant::testing::in_every_order;
using ::orthant::testing::needs_its_barriers;
using ::orthant::testing::order_count;

__global__ void number_threads(int* out) {
  out[blockIdx.x * blockDim.x + threadIdx.x] += static_cast<int>(gridDim.x * 10000 + threadIdx.x);
}

__global__ void sum_blocks(const int* in, int* out) {
  const int sum = block_sum(in[blockIdx.x * blockDim.x + threadIdx.x]);
  out[blockIdx.x * blockDim.x + threadIdx.x] = sum + block_sum(static_cast<int>(threadIdx.x));
}

// Each thread leaves a value for its neighbour, in the next warp for the last lane.
__global__ void rotate(const int* in, int* out, bool has_barrier) {
  int* shared = dynamic_shared<int>();
  shared[threadIdx.x] = in[threadIdx.x];
  if (has_barrier) __syncthreads();
  out[threadIdx.x] = shared[(threadIdx.x + 1) % blockDim.x];
}

// Reads what the round before wrote, and writes over it without waiting for those who still read.
__global__ void rotate_twice(int* values, bool has_second_barrier) {
  int* shared = dynamic_shared<int>();
  int mine = values[threadIdx.x];
  for (int round = 0; round < 2; ++round) {
    shared[threadIdx.x] = mine;
    __syncthreads();
    mine = shared[(threadIdx.x + 1) % blockDim.x];
    if (has_second_barrier) __syncthreads();
  }
  values[threadIdx.x] = mine;
}

__global__ void meet_in_half() {
  if (threadIdx.x % 2 == 0) __syncthreads();
}
__global__ void leave_early() {
  if (threadIdx.x == 40) return;
  __syncthreads();
}
__global__ void meet_once_more(int more_in_warp) {
  const int rounds = static_cast<int>(threadIdx.x) / kWarp == more_in_warp ? 3 : 2;
  for (int i = 0; i < rounds; ++i) __syncthreads();
}
__global__ void meet_at_two_places() {
  if (threadIdx.x < kWarp) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void shuffle_in_half(int* out) {
  if (threadIdx.x % 2 == 0) out[threadIdx.x] = warp_shuffle(1, 0);
}
__global__ void shuffle_or_meet(int* out) {
  if (threadIdx.x % 2 == 0) {
    out[threadIdx.x] = warp_shuffle(1, 0);
  } else {
    __syncthreads();
  }
}
__global__ void write_past_shared(int elements) {
  if (threadIdx.x == 0) dynamic_shared<float>()[elements] = 1.0f;
}
__global__ void load_at(const float* from, float* out) {
  *out = load_four(from).of[0];
}
__global__ void throw_in_thread() {
  if (threadIdx.x == 5) require(false, "thread 5 is unhappy");
}
__global__ void reverse_lanes(int* out) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  out[threadIdx.x] = warp_shuffle(lane, kWarp - 1 - lane) + 100 * (warp_ballot(lane == 3) == 8u ? 1 : 0);
}

std::vector<int> ascending(int count) {
  std::vector<int> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 0);
  return values;
}

class Emulator : public ::testing::Test {
 protected:
  void SetUp() override { choose_order(0, false); }

  // Refused in every order of threads.
  template <typename... Parameters>
  void expect_refused(void (*kernel)(Parameters...), std::type_identity_t<Parameters>... arguments) {
    for (int order = 0; order < order_count(); ++order) {
      choose_order(order, false);
      EXPECT_THROW(launch(kernel, {.blocks = 2, .threads = 96, .shared_bytes = 64}, stream_, arguments...),
                   EmulationError)
          << order;
    }
  }
  Stream stream_;
};

TEST_F(Emulator, EveryThreadRunsOnce) {
  const auto numbered = in_every_order([&] {
    std::vector<int> out(3 * 64);
    launch(number_threads, {.blocks = 3, .threads = 64}, stream_, out.data());
    return out;
  });
  for (int i = 0; i < 192; ++i) EXPECT_EQ(numbered[static_cast<size_t>(i)], 30000 + i % 64);
}

TEST_F(Emulator, BlocksSumAndTheirBarriersCount) {
  const std::vector<int> in = ascending(2 * 1024);
  const auto work = [&] {
    std::vector<int> out(in.size());
    launch(sum_blocks, {.blocks = 2, .threads = 1024}, stream_, in.data(), out.data());
    return out;
  };
  EXPECT_TRUE(needs_its_barriers(work));
  const std::vector<int> sums = work();
  for (size_t i = 0; i < in.size(); ++i) {
    EXPECT_EQ(sums[i], (i < 1024 ? 1023 * 512 : 1023 * 512 + 1024 * 1024) + 1023 * 512) << i;
  }
}

TEST_F(Emulator, WarpsShuffleAndVote) {
  const auto out = in_every_order([&] {
    std::vector<int> lanes(64);
    launch(reverse_lanes, {.blocks = 1, .threads = 64}, stream_, lanes.data());
    return lanes;
  });
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out[static_cast<size_t>(i)], 131 - i % 32);
}

TEST_F(Emulator, AMissingBarrierShowsInSomeOrder) {
  const std::vector<int> in = ascending(128);
  const auto rotated = [&](bool has_barrier) {
    std::vector<int> out(128);
    launch(rotate, {.blocks = 1, .threads = 128, .shared_bytes = 512}, stream_, in.data(), out.data(),
           has_barrier);
    return out;
  };
  std::vector<int> expected = ascending(129);
  expected.erase(expected.begin());
  expected.back() = 0;
  EXPECT_EQ(in_every_order([&] { return rotated(true); }), expected);
  EXPECT_TRUE(needs_its_barriers([&] { return rotated(true); }));
  int wrong = 0;
  for (int order = 0; order < order_count(); ++order) {
    choose_order(order, false);
    wrong += rotated(false) == expected ? 0 : 1;
  }
  EXPECT_GE(wrong, 2);
}

TEST_F(Emulator, AMissingBarrierBeforeOverwritingShows) {
  int wrong[2] = {0, 0};
  std::vector<int> expected = ascending(128);
  std::rotate(expected.begin(), expected.begin() + 2, expected.end());
  for (const bool has_barrier : {false, true}) {
    for (int order = 0; order < order_count(); ++order) {
      choose_order(order, false);
      std::vector<int> values = ascending(128);
      launch(rotate_twice, {.blocks = 1, .threads = 128, .shared_bytes = 512}, stream_, values.data(),
             has_barrier);
      wrong[has_barrier ? 1 : 0] += values == expected ? 0 : 1;
    }
  }
  EXPECT_GE(wrong[0], 1);
  EXPECT_EQ(wrong[1], 0);
}

TEST_F(Emulator, BarriersThatNotAllThreadsReachAreRefused) {
  expect_refused(meet_in_half);
  expect_refused(leave_early);
  expect_refused(meet_once_more, 1);
  expect_refused(meet_at_two_places);
}

TEST_F(Emulator, WarpOperationsThatNotAllLanesReachAreRefused) {
  std::vector<int> out(96);
  expect_refused(shuffle_in_half, out.data());
  expect_refused(shuffle_or_meet, out.data());
}

TEST_F(Emulator, WritesPastSharedMemoryAreRefused) {
  expect_refused(write_past_shared, 16);
  EXPECT_NO_THROW(launch(write_past_shared, {.blocks = 1, .threads = 32, .shared_bytes = 64}, stream_, 15));
}

TEST_F(Emulator, VectorAccessesOffTheirAlignmentAreRefused) {
  alignas(16) float values[8] = {7.0f};
  float out = 0.0f;
  launch(load_at, {.blocks = 1, .threads = 32}, stream_, values, &out);
  EXPECT_EQ(out, 7.0f);
  expect_refused(load_at, values + 1, &out);
}

TEST_F(Emulator, PartialWarpsAreRefusedAndEmptyGridsDoNothing) {
  EXPECT_THROW(launch(meet_in_half, {.blocks = 1, .threads = 33}, stream_), EmulationError);
  EXPECT_THROW(launch(meet_in_half, {.blocks = 1, .threads = 1056}, stream_), EmulationError);
  EXPECT_NO_THROW(launch(meet_in_half, {.blocks = 0, .threads = 32}, stream_));
}

TEST_F(Emulator, ExceptionsOfAThreadEndTheLaunchAndTheNextOneWorks) {
  EXPECT_THROW(launch(throw_in_thread, {.blocks = 1, .threads = 32}, stream_), Error);
  std::vector<int> out(32);
  launch(number_threads, {.blocks = 1, .threads = 32}, stream_, out.data());
  EXPECT_EQ(out[31], 10031);
}

}  // namespace
}  // namespace orthant::kernels
