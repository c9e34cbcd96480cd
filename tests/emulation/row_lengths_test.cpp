#include "kernels/codes/row_lengths.h"

#include <gtest/gtest.h>

#include "kernels/codes/row_lengths_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::in_every_order;

using RowLengthsKernels = testing::KernelShapes<int64_t>;

TEST_P(RowLengthsKernels, AreThoseOfTheCpuThereAndBack) {
  const int64_t rows = GetParam();
  std::vector<int64_t> offsets = {17};
  for (int64_t r = 0; r < rows; ++r) offsets.push_back(offsets.back() + (r * 7) % 5);
  std::vector<int64_t> lengths(static_cast<size_t>(rows));
  Stream host_stream;
  row_lengths({offsets.data(), {rows + 1}}, {lengths.data(), {rows}}, host_stream);
  std::vector<int64_t> back = {-1};
  back.insert(back.end(), lengths.begin(), lengths.end());
  const DeviceArray<int64_t> device_offsets{std::span<const int64_t>(offsets)};
  const auto there = [&] {
    const DeviceArray<int64_t> found(rows);
    cuda::row_lengths(device_offsets.vector(), found.vector(), stream_);
    return found.values();
  };
  EXPECT_EQ(in_every_order(there), lengths);
  const auto work = [&] {
    const DeviceArray<int64_t> found{std::span<const int64_t>(back)};
    cuda::lengths_to_offsets(found.vector(), stream_);
    return found.values();
  };
  const std::vector<int64_t> found = in_every_order(work);
  lengths_to_offsets({back.data(), {rows + 1}}, host_stream);
  EXPECT_EQ(found, back);
  for (int64_t r = 0; r <= rows; ++r)
    EXPECT_EQ(back[static_cast<size_t>(r)], offsets[static_cast<size_t>(r)] - 17);
}

INSTANTIATE_TEST_SUITE_P(Rows, RowLengthsKernels, ::testing::Values(0, 1, 300, 1025));

}  // namespace
}  // namespace orthant::kernels
