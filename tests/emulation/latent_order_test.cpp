#include <gtest/gtest.h>

#include "kernels/codes/latent_step_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::DeviceCodes;
using testing::in_every_order;
using testing::random_codes;

using Sorted = std::tuple<std::vector<int64_t>, std::vector<int32_t>, std::vector<int64_t>>;

Sorted sorted_on_cpu(CodesView codes, int64_t first, int64_t count) {
  Stream stream;
  LatentOrder order(testing::test_memory(), count, codes.capacity());
  const LatentOrderView view = order.view();
  sort_by_latent(codes, first, view, stream);
  const int64_t entries = view.offsets.data[count];
  return {{view.offsets.data, view.offsets.data + count + 1},
          {view.rows.data, view.rows.data + entries},
          {view.entries.data, view.entries.data + entries}};
}

class SortKernel : public testing::KernelTest {
 protected:
  Sorted sorted(CodesView host, int64_t first, int64_t count, int64_t room) {
    const DeviceCodes codes(host);
    const DeviceArray<int64_t> offsets(count + 1), entries(room);
    const DeviceArray<int32_t> rows(room);
    cuda::sort_by_latent(codes.view(), first, {offsets.vector(), rows.vector(), entries.vector()}, stream_);
    return {offsets.values(), rows.values(), entries.values()};
  }
  void expect_that_of_cpu(CodesView codes, int64_t first, int64_t count) {
    const Sorted expected = sorted_on_cpu(codes, first, count);
    const auto room = static_cast<int64_t>(std::get<1>(expected).size());
    const auto work = [&] { return sorted(codes, first, count, room); };
    EXPECT_TRUE(testing::same_bytes(in_every_order(work), expected)) << first << "+" << count;
    if (testing::can_leave_out_barriers() && room > 10) {
      EXPECT_TRUE(testing::needs_its_barriers(work)) << first << "+" << count;
    }
  }
};

TEST_F(SortKernel, GivesTheOrderOfTheCpuForAnySlice) {
  Codes codes = random_codes(50, 31, 9, 1);
  for (const auto& [first, count] :
       std::vector<std::pair<int64_t, int64_t>>{{0, 31}, {0, 10}, {10, 21}, {30, 1}, {31, 5}, {4, 0}}) {
    expect_that_of_cpu(codes.view(), first, count);
  }
}

TEST_F(SortKernel, ManyRowsLatentsAndFullTilesAreSorted) {
  Codes many = random_codes(600, 200, 5, 2);
  expect_that_of_cpu(many.view(), 0, 200);
  Codes full = random_codes(300, 64, 60, 3);  // tiles have more entries than fit into a list
  expect_that_of_cpu(full.view(), 0, 64);
  Codes wide = random_codes(3, 2500, 7, 4);  // more latents than are scanned at a time
  expect_that_of_cpu(wide.view(), 0, 2500);
}

TEST_F(SortKernel, NoRowsAndNoEntriesGiveEmptyLatents) {
  Codes none = random_codes(0, 5, 3, 1), empty = random_codes(3, 5, 0, 1);
  expect_that_of_cpu(none.view(), 0, 5);
  expect_that_of_cpu(empty.view(), 0, 5);
}

TEST_F(SortKernel, WhatHasNoRoomIsCountedAndLeftOut) {
  Codes codes = random_codes(20, 5, 3, 1);
  const Sorted all = sorted_on_cpu(codes.view(), 0, 5), some = sorted(codes.view(), 0, 5, 7);
  EXPECT_EQ(std::get<0>(some), std::get<0>(all));
  for (size_t i = 0; i < 7; ++i) EXPECT_EQ(std::get<2>(some)[i], std::get<2>(all)[i]);
}

}  // namespace
}  // namespace orthant::kernels
